package db_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
)

// Compares pages and counts of every combination of filters with a model.
func TestEventsPassTheFilter(t *testing.T) {
	kinds, people := []db.EventKind{"LOGIN", "LOGOUT", "REFRESH"}, []*string{nil, ptr("user_a"), ptr("user_b")}
	each(t, func(t *testing.T, d *db.DB) {
		random := rand.New(rand.NewPCG(1, 1))
		var all []*db.Event
		for range 60 {
			e := &db.Event{
				ID: db.NewID(db.EventID), At: db.TimeOf(time.Now()), Kind: kinds[random.IntN(3)],
				UserID: people[random.IntN(3)], ActorID: people[random.IntN(3)],
			}
			if err := d.CreateEvent(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		for _, user := range people {
			for _, actor := range people {
				for _, some := range [][]db.EventKind{nil, {"LOGOUT"}, {"REFRESH", "LOGIN", "REFRESH"}, {"NONE"}} {
					for _, since := range []*db.Time{nil, &all[20].At} {
						for _, before := range []*db.Time{nil, &all[40].At} {
							checkEvents(t, d, all, db.EventFilter{Kinds: some, UserID: user, ActorID: actor, Since: since, Before: before})
						}
					}
				}
			}
		}
	})
}

func checkEvents(t *testing.T, d *db.DB, all []*db.Event, f db.EventFilter) {
	t.Helper()
	var want []string
	for _, e := range all {
		if passes(e, f) {
			want = append(want, e.ID)
		}
	}
	for _, backward := range []bool{false, true} {
		var got []string
		p := db.Page{Limit: 7, Backward: backward}
		for more := true; more; {
			page := must[db.PageOf[db.Event]](t)(d.Events(t.Context(), f, p))
			var ids []string
			for _, e := range page.Rows {
				ids = append(ids, e.ID)
			}
			behind := len(got) > 0
			if backward {
				got, more = append(ids, got...), page.HasPrevious
			} else {
				got, more = append(got, ids...), page.HasNext
			}
			if page.HasNext != (more && !backward || behind && backward) || page.HasPrevious != (more && backward || behind && !backward) {
				t.Errorf("%+v, %+v: next %t, previous %t", f, p, page.HasNext, page.HasPrevious)
			}
			if len(ids) > 0 && backward {
				p.Before = ids[0]
			} else if len(ids) > 0 {
				p.After = ids[len(ids)-1]
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v, backward %t: got %v, want %v", f, backward, got, want)
		}
	}
	if n := must[int](t)(d.CountEvents(t.Context(), f)); n != len(want) {
		t.Errorf("%+v: counted %d, want %d", f, n, len(want))
	}
}

func passes(e *db.Event, f db.EventFilter) bool {
	same := func(want, got *string) bool { return want == nil || got != nil && *got == *want }
	return (len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) && same(f.UserID, e.UserID) && same(f.ActorID, e.ActorID) &&
		(f.Since == nil || !e.At.Before(f.Since.Time)) && (f.Before == nil || e.At.Before(f.Before.Time))
}

func TestEventsOfExtremeTimes(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		e := &db.Event{ID: db.NewID(db.EventID), Kind: "LOGIN", At: db.TimeOf(time.Now())}
		if err := d.CreateEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		past, future := db.TimeOf(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)), db.TimeOf(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))
		for _, c := range []struct {
			since, before *db.Time
			want          int
		}{{&past, &future, 1}, {&past, nil, 1}, {nil, &future, 1}, {&future, nil, 0}, {nil, &past, 0}, {&future, &past, 0}} {
			page := must[db.PageOf[db.Event]](t)(d.Events(t.Context(), db.EventFilter{Since: c.since, Before: c.before}, db.Page{Limit: 2}))
			if len(page.Rows) != c.want {
				t.Errorf("since %v, before %v: %d events, want %d", c.since, c.before, len(page.Rows), c.want)
			}
		}
	})
}
