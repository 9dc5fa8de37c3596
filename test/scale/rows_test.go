package scale

import (
	"fmt"
	"strconv"
	"time"

	"github.com/latchkey/latchkey/db"
)

// A size is how many rows the tables of a database have. Rows are numbered from 1.
type size struct{ tokens, users, events int }

const (
	span     = 180 * 24 * time.Hour // of the events' times
	userStep = time.Second          // between the creations of two users, sessions or API tokens
	heavy    = 1                    // the user who has a quarter of all events
)

// start is the time of the first row.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// step is the time between two events.
func (s size) step() time.Duration {
	return max((span / time.Duration(s.events)).Truncate(time.Millisecond), time.Millisecond)
}

// at returns the time of the n-th event.
func (s size) at(n int) db.Time { return db.TimeOf(start.Add(time.Duration(n) * s.step())) }

// scattered returns a number below 2^32 that looks random. Different n have different numbers.
func scattered(n int) int { return int(uint32(n) * 2654435761) }

// anyUser returns the number of a user.
func (s size) anyUser(n int) int { return scattered(n)%s.users + 1 }

// idOf returns the ID of the n-th row of a kind: 10 characters are the time, as in db.NewID, and 16 the number.
func idOf(kind string, step time.Duration, n int) string {
	ms := start.Add(time.Duration(n) * step).UnixMilli()
	id := append(make([]byte, 0, len(kind)+27), kind...)
	id = append(id, '_')
	for shift := 45; shift >= 0; shift -= 5 {
		id = append(id, "0123456789abcdefghjkmnpqrstvwxyz"[ms>>shift&31])
	}
	id = append(id, "0000000000000000"...)
	digits := strconv.Itoa(n)
	copy(id[len(id)-len(digits):], digits)
	return string(id)
}

func userID(n int) string { return idOf(db.UserID, userStep, n) }

// digest is the digest of the n-th API token.
func digest(n int) string { return fmt.Sprintf("sha256:%010d%054d", scattered(n), n) }

// A table is how a table is filled.
type table struct {
	name    string
	rows    int
	columns []string
	row     func(n int) []any
}

func (s size) tables() []table {
	created, expires := db.TimeOf(start), db.TimeOf(start.AddDate(100, 0, 0))
	return []table{
		{"users", s.users, []string{"id", "username", "username_key", "email", "name", "password_hash", "roles", "search_text", "created_at", "updated_at"},
			func(n int) []any {
				name := "user" + strconv.Itoa(n)
				address, full := name+"@example.com", "Name "+strconv.Itoa(scattered(n))
				return []any{userID(n), name, name, address, full, "", `["USER"]`, name + "\n" + address + "\n" + full, created, created}
			}},
		{"sessions", s.users, []string{"id", "user_id", "device", "ip", "login_network", "generation", "seen_generation", "created_at",
			"authenticated_at", "rotated_at", "idle_at", "expires_at"},
			func(n int) []any {
				return []any{idOf(db.SessionID, userStep, n), userID(s.anyUser(n)), "a phone", "192.0.2.1", "192.0.2.1", 1, 1, created,
					created, created, expires, expires}
			}},
		{"api_tokens", s.tokens, []string{"id", "user_id", "name", "digest", "scopes", "created_at"}, func(n int) []any {
			return []any{idOf(db.TokenID, userStep, n), userID(s.anyUser(n)), "CI", digest(n), `["users:read"]`, created}
		}},
		{"events", s.events, []string{"id", "kind", "user_id", "actor_id", "at", "ip", "device", "request_id", "detail"}, s.event},
	}
}

// event returns the n-th event. One of 5000 is of a rare kind.
func (s size) event(n int) []any {
	kind := "LOGIN"
	switch {
	case n%5000 == 8:
		kind = "REFRESH_REUSED"
	case n%10 == 9:
		kind = "LOGIN_FAILED"
	case n%10 > 6:
		kind = "REFRESH"
	}
	owner := userID(s.anyUser(n))
	if n%4 == 0 {
		owner = userID(heavy)
	}
	var actor any
	if kind != "LOGIN_FAILED" {
		actor = owner
	}
	return []any{idOf(db.EventID, s.step(), n), kind, owner, actor, s.at(n), "192.0.2.1", "a phone", "", ""}
}
