package scale

import (
	"context"
	"fmt"

	"github.com/latchkey/latchkey/db"
)

const pageSize = 20

// reads are what grows slow if an index is missing. Those of n differ from each other.
var reads = []read{
	{"API token that was never seen", 1, func(ctx context.Context, d *db.DB, s size, n int) (int, error) {
		_, err := d.TokenOwner(ctx, digest(1+spread(n, s.tokens)))
		return 1, err
	}},
	{"access token that was never seen", 1, func(ctx context.Context, d *db.DB, s size, n int) (int, error) {
		_, err := d.SessionOwner(ctx, idOf(db.SessionID, userStep, 1+spread(n, s.users)))
		return 1, err
	}},
	{"login: the user by e-mail", 1, func(ctx context.Context, d *db.DB, s size, n int) (int, error) {
		address := fmt.Sprintf("user%d@example.com", 1+spread(n, s.users))
		_, err := d.UserByLogin(ctx, address, address)
		return 1, err
	}},
	usersPage("users, first page", func(size, int) string { return "" }, false),
	usersPage("users, in the middle", func(s size, n int) string { return userID(s.users/2 + n) }, false),
	usersPage("users, last page", func(size, int) string { return "" }, true),
	search("search for one user", 1, func(s size, n int) string { return fmt.Sprintf("user%d@", 1+spread(n, s.users)) }),
	search("search for a text that nobody has", -1, func(_ size, n int) string { return fmt.Sprintf("zebra%d", n) }),
	search("search for a text that all have", 0, func(size, int) string { return "example.com" }),
	search("search for two characters", 0, func(size, int) string { return "us" }),
	auditLog("auditLog, first page", db.EventFilter{}, db.Page{}),
	auditLog("auditLog, last page", db.EventFilter{}, db.Page{Backward: true}),
	middle("auditLog, in the middle", func(size, int) db.EventFilter { return db.EventFilter{} }),
	middle("auditLog of a user who has a quarter, in the middle", func(size, int) db.EventFilter { return db.EventFilter{UserID: heavyID()} }),
	middle("auditLog by an actor who has a quarter, in the middle", func(size, int) db.EventFilter { return db.EventFilter{ActorID: heavyID()} }),
	auditLog("auditLog of a kind that 0.02 % have", db.EventFilter{Kinds: rare}, db.Page{Limit: 2}),
	auditLog("the same, last page", db.EventFilter{Kinds: rare}, db.Page{Limit: 2, Backward: true}),
	middle("auditLog of four kinds, in the middle", func(size, int) db.EventFilter {
		return db.EventFilter{Kinds: []db.EventKind{"REFRESH_REUSED", "LOGIN_FAILED", "REFRESH", "LOGIN"}}
	}),
	auditLog("auditLog of that user and that kind", db.EventFilter{UserID: heavyID(), Kinds: rare}, db.Page{Limit: 2}),
	auditLog("auditLog by that actor and that kind", db.EventFilter{ActorID: heavyID(), Kinds: rare}, db.Page{Limit: 2, Backward: true}),
	{"auditLog since a time", 0, func(ctx context.Context, d *db.DB, s size, n int) (int, error) {
		since := s.at(s.events/2 + n)
		return events(ctx, d, db.EventFilter{Since: &since}, db.Page{Limit: pageSize})
	}},
	{"auditLog before a time, last page, of that user", 0, func(ctx context.Context, d *db.DB, s size, n int) (int, error) {
		before := s.at(s.events/2 + n)
		return events(ctx, d, db.EventFilter{Before: &before, UserID: heavyID()}, db.Page{Limit: pageSize, Backward: true})
	}},
}

// counts are what totalCount asks for. They take longer with more rows, up to db.MaxCount.
var counts = []read{
	{"totalCount of auditLog", 0, func(ctx context.Context, d *db.DB, _ size, _ int) (int, error) {
		return d.CountEvents(ctx, db.EventFilter{})
	}},
	{"totalCount of auditLog of a user who has a quarter", 0, func(ctx context.Context, d *db.DB, _ size, _ int) (int, error) {
		return d.CountEvents(ctx, db.EventFilter{UserID: heavyID()})
	}},
	{"totalCount of auditLog of a kind that 0.02 % have", 0, func(ctx context.Context, d *db.DB, _ size, _ int) (int, error) {
		return d.CountEvents(ctx, db.EventFilter{Kinds: rare})
	}},
	{"totalCount of users", 0, func(ctx context.Context, d *db.DB, _ size, _ int) (int, error) { return d.CountUsersMatching(ctx, "") }},
	{"totalCount of users, of a text that all have", 0, func(ctx context.Context, d *db.DB, _ size, _ int) (int, error) {
		return d.CountUsersMatching(ctx, "example.com")
	}},
}

// spread returns different numbers below the limit, all over the range.
func spread(n, limit int) int { return n * limit / times }

func heavyID() *string {
	id := userID(heavy)
	return &id
}

var rare = []db.EventKind{"REFRESH_REUSED"}

func usersPage(name string, after func(size, int) string, backward bool) read {
	return read{name, 0, func(ctx context.Context, d *db.DB, s size, n int) (int, error) {
		page, err := d.Users(ctx, "", db.Page{Limit: pageSize, After: after(s, n), Backward: backward})
		return len(page.Rows), err
	}}
}

// search finds want rows: -1 means none.
func search(name string, want int, text func(size, int) string) read {
	return read{name, want, func(ctx context.Context, d *db.DB, s size, n int) (int, error) {
		page, err := d.Users(ctx, text(s, n), db.Page{Limit: pageSize})
		if len(page.Rows) == 0 {
			return -1, err
		}
		return len(page.Rows), err
	}}
}

func auditLog(name string, f db.EventFilter, p db.Page) read {
	want := p.Limit
	if p.Limit == 0 {
		p.Limit = pageSize
	}
	return read{name, want, func(ctx context.Context, d *db.DB, _ size, _ int) (int, error) { return events(ctx, d, f, p) }}
}

// middle reads a page of the audit log that begins after the half of the events.
func middle(name string, filter func(size, int) db.EventFilter) read {
	return read{name, 0, func(ctx context.Context, d *db.DB, s size, n int) (int, error) {
		after := idOf(db.EventID, s.step(), s.events/2+n)
		return events(ctx, d, filter(s, n), db.Page{Limit: pageSize, After: after})
	}}
}

func events(ctx context.Context, d *db.DB, f db.EventFilter, p db.Page) (int, error) {
	page, err := d.Events(ctx, f, p)
	return len(page.Rows), err
}
