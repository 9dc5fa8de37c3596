package relay

import (
	"context"
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

func ptr[T any](v T) *T { return &v }

// T81.
func TestPageArguments(t *testing.T) {
	a, b := db.NewID(db.UserID), db.NewID(db.UserID)
	for name, c := range map[string]struct {
		args  Args
		want  db.Page
		fault string // the argument at fault
	}{
		"none":           {Args{}, db.Page{Limit: 20}, ""},
		"first":          {Args{First: ptr(1)}, db.Page{Limit: 1}, ""},
		"first after":    {Args{First: ptr(100), After: ptr(cursorOf(a))}, db.Page{Limit: 100, After: a}, ""},
		"last before":    {Args{Last: ptr(3), Before: ptr(cursorOf(b))}, db.Page{Limit: 3, Before: b, Backward: true}, ""},
		"between":        {Args{After: ptr(cursorOf(a)), Before: ptr(cursorOf(b))}, db.Page{Limit: 20, After: a, Before: b}, ""},
		"first and last": {Args{First: ptr(1), Last: ptr(1)}, db.Page{}, "last"},
		"first 0":        {Args{First: ptr(0)}, db.Page{}, "first"},
		"first -1":       {Args{First: ptr(-1)}, db.Page{}, "first"},
		"first 101":      {Args{First: ptr(101)}, db.Page{}, "first"},
		"last 0":         {Args{Last: ptr(0)}, db.Page{}, "last"},
		"last 101":       {Args{Last: ptr(101)}, db.Page{}, "last"},
		"after nothing":  {Args{After: ptr("")}, db.Page{}, "after"},
		"after an ID":    {Args{After: &a}, db.Page{}, "after"},
		"before garbage": {Args{Before: ptr("!")}, db.Page{}, "before"},
		"other list's":   {Args{After: ptr(cursorOf(db.NewID(db.SessionID)))}, db.Page{}, "after"},
		"padded":         {Args{After: ptr(base64.StdEncoding.EncodeToString([]byte(a)))}, db.Page{}, "after"},
		"SQL":            {Args{Before: ptr(cursorOf("' OR 1=1 --"))}, db.Page{}, "before"},
	} {
		p, err := c.args.Page(db.UserID)
		var input *auth.InputError
		switch {
		case c.fault == "" && (err != nil || !reflect.DeepEqual(p, c.want)):
			t.Errorf("%s: %+v, %v; want %+v", name, p, err, c.want)
		case c.fault != "" && (!errors.As(err, &input) || input.Field != c.fault):
			t.Errorf("%s: %v, want a fault of %s", name, err, c.fault)
		}
	}
}

func TestAConnectionGivesOutCursorsThatItTakes(t *testing.T) {
	rows := []*db.User{{ID: db.NewID(db.UserID)}, {ID: db.NewID(db.UserID)}, {ID: db.NewID(db.UserID)}}
	counted := 0
	count := func(context.Context) (int, error) { counted++; return 7, nil }
	id := func(u *db.User) string { return u.ID }
	c := New(db.PageOf[db.User]{Rows: rows, HasNext: true}, id, count)
	for i, e := range c.Edges() {
		p, err := Args{After: &e.Cursor}.Page(db.UserID)
		if err != nil || p.After != rows[i].ID || e.Node != rows[i] || c.Nodes()[i] != rows[i] {
			t.Errorf("edge %d: %+v, %+v, %v", i, e, p, err)
		}
	}
	info := c.PageInfo()
	if *info.StartCursor != c.Edges()[0].Cursor || *info.EndCursor != c.Edges()[2].Cursor || !info.HasNextPage || info.HasPreviousPage {
		t.Errorf("page info %+v", info)
	}
	if counted != 0 {
		t.Error("the list was counted although nobody asked")
	}
	if n, err := c.TotalCount(t.Context()); n != 7 || err != nil {
		t.Errorf("counted %d, %v", n, err)
	}
	empty := New(db.PageOf[db.User]{HasPrevious: true}, id, count)
	if empty.Edges() == nil || empty.Nodes() == nil || empty.PageInfo().StartCursor != nil || empty.PageInfo().EndCursor != nil || !empty.PageInfo().HasPreviousPage {
		t.Errorf("an empty page: %+v, %+v", empty, empty.PageInfo())
	}
}

// A cursor has only one valid spelling for each ID.
func FuzzCursor(f *testing.F) {
	good := cursorOf(db.NewID(db.UserID))
	for _, seed := range []string{"", good, good + "=", good + "\n", good[:10] + "\r\n" + good[10:], good[:len(good)-1], strings.ToUpper(good), cursorOf("user_x"), cursorOf(""), "!", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		id, err := parseCursor(db.UserID, cursor)
		if err == nil && cursorOf(id) != cursor {
			t.Errorf("%q is taken for %q, whose cursor is %q", cursor, id, cursorOf(id))
		}
		if again, err := parseCursor(db.UserID, cursorOf(cursor)); (err == nil) != (db.CheckID(db.UserID, cursor) == nil) || err == nil && again != cursor {
			t.Errorf("the ID %q comes back as %q, %v", cursor, again, err)
		}
	})
}
