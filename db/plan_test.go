package db_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db"
)

// hotReads are what requests and the background work of each process run, and the indexes that serve it. "pkey" is the
// index of the table's primary key.
var hotReads = map[string]struct {
	indexes string
	run     func(ctx context.Context, d *db.DB, id ids) error
}{
	"session's owner": {"sessions_pkey users_pkey", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.SessionOwner(ctx, id.session)
		return err
	}},
	"API token's owner": {"api_tokens_digest users_pkey", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.TokenOwner(ctx, "sha256:77")
		return err
	}},
	"API token's owner by ID": {"api_tokens_pkey users_pkey", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.TokenOwnerByID(ctx, id.token)
		return err
	}},
	"user by login": {"users_username_key users_email", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.UserByLogin(ctx, "user77", "user77")
		return err
	}},
	"users by ID": {"users_pkey", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.UsersByID(ctx, []string{id.user, id.heavy, "user_7"})
		return err
	}},
	"sessions of a user": {"sessions_user_id", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.Sessions(ctx, id.user, noon, db.Page{Limit: 20, After: "session_1"})
		return err
	}},
	"number of sessions of a user": {"sessions_user_id", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.CountSessions(ctx, id.user, noon)
		return err
	}},
	"end sessions of a user": {"sessions_user_id", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.EndSessions(ctx, id.user, "", "why", noon)
		return err
	}},
	"end old sessions of a user": {"sessions_user_id", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.EndOldSessions(ctx, id.user, 100, "why", noon)
		return err
	}},
	"check sessions": {"latchkey_sessions_check_at sessions_pkey", func(ctx context.Context, d *db.DB, _ ids) error {
		_, _, err := d.CheckSessions(ctx, noon, 200)
		return err
	}},
	"open invitations": {"latchkey_links_open", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.OpenLinks(ctx, "invitation", noon, db.Page{Limit: 20, After: id.link})
		return err
	}},
	"number of open invitations": {"latchkey_links_open", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.CountOpenLinks(ctx, "invitation", noon)
		return err
	}},
	"networks of a user": {"sessions_user_id", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.LoggedInFrom(ctx, id.user, "192.0.2.7")
		return err
	}},
	"API tokens of a user": {"api_tokens_user_id", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.APITokens(ctx, id.user, db.Page{Limit: 20, Before: "token_9", Backward: true})
		return err
	}},
	"number of API tokens of a user": {"api_tokens_user_id", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.CountAPITokens(ctx, id.user)
		return err
	}},
	"revoke API tokens of a user": {"api_tokens_user_id", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.RevokeAPITokens(ctx, id.user, noon)
		return err
	}},
	"number of administrators": {"latchkey_users_administrators", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.CountUsers(ctx, "ADMIN")
		return err
	}},
	"highest bcrypt cost": {"users_bcrypt", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.HighestBcryptCost(ctx)
		return err
	}},
	"users updated": {"users_updated_at", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.UsersUpdated(ctx, noon, 100)
		return err
	}},
	"sessions ended": {"sessions_ended_at", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.SessionsEnded(ctx, "", noon, 100)
		return err
	}},
	"sessions ended of a user": {"sessions_user_id", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.SessionsEnded(ctx, id.user, noon.Add(-longAgo), 100)
		return err
	}},
	"deleted users": {"deleted_users_deleted_at", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.DeletedUsers(ctx, "", noon)
		return err
	}},
	"deleted user": {"deleted_users_pkey", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.DeletedUsers(ctx, id.user, noon.Add(-longAgo))
		return err
	}},
	"attempt": {"throttles_pkey", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.Failures(ctx, "key77")
		return err
	}},
	"delete throttles": {"latchkey_throttles_expires_ms throttles_pkey", func(ctx context.Context, d *db.DB, _ ids) error {
		return d.DeleteExpiredThrottles(ctx, db.Time{})
	}},
	"delete sessions": {"sessions_expires_at sessions_pkey", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.DeleteSessionsBefore(ctx, noon.Add(-longAgo))
		return err
	}},
	"delete events": {"events_at events_pkey", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.DeleteEventsBefore(ctx, noon.Add(-longAgo))
		return err
	}},
	"forget deleted users": {"deleted_users_deleted_at", func(ctx context.Context, d *db.DB, _ ids) error {
		return d.ForgetDeletedUsers(ctx, noon.Add(-longAgo))
	}},
	"claim webhook": {"latchkey_webhooks_due webhook_deliveries_pkey", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.ClaimWebhook(ctx, "https://receiver7.example.com", noon, noon.Add(longAgo))
		return ignoreNotFound(err)
	}},
	"next webhook": {"latchkey_webhooks_due", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.NextWebhook(ctx, "https://receiver7.example.com")
		return ignoreNotFound(err)
	}},
	"delete webhooks": {"latchkey_webhooks_delivered latchkey_webhooks_failed latchkey_webhooks_due", func(ctx context.Context, d *db.DB, _ ids) error {
		return d.DeleteOldWebhooks(ctx, noon.Add(-longAgo))
	}},
	"users, in the middle": {"users_pkey", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.Users(ctx, "", db.Page{Limit: 20, After: id.user})
		return err
	}},
	"search": {"users_pkey latchkey_search_users|latchkey_users_search", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.Users(ctx, "USER77@", db.Page{Limit: 20, After: id.user})
		return err
	}},
	"search for two characters": {"users_pkey latchkey_search_users|latchkey_users_search", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.Users(ctx, "zz", db.Page{Limit: 20, Backward: true})
		return err
	}},
	"number of users found": {"latchkey_search_users|latchkey_users_search", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.CountUsersMatching(ctx, "user77")
		return err
	}},
	"events": {"events_pkey", func(ctx context.Context, d *db.DB, id ids) error {
		_, err := d.Events(ctx, db.EventFilter{}, db.Page{Limit: 20, After: id.event})
		return err
	}},
	"events of a user":                           pageOfEvents("events_user_id", func(f *db.EventFilter, id ids) { f.UserID = &id.user }),
	"events by an actor":                         pageOfEvents("events_actor_id", func(f *db.EventFilter, id ids) { f.ActorID = &id.user }),
	"events of a kind":                           pageOfEvents("latchkey_events_kind", func(f *db.EventFilter, _ ids) { f.Kinds = []db.EventKind{"LOGIN"} }),
	"events of a rare kind":                      pageOfEvents("latchkey_events_kind", func(f *db.EventFilter, _ ids) { f.Kinds = []db.EventKind{"ALL_REVOKED"} }),
	"events of kinds":                            pageOfEvents("latchkey_events_kind", func(f *db.EventFilter, _ ids) { f.Kinds = []db.EventKind{"LOGIN", "ALL_REVOKED"} }),
	"events of a user and a kind":                pageOfEvents("latchkey_events_user_id_kind", ofHeavy),
	"events by an actor and a kind":              pageOfEvents("latchkey_events_actor_id_kind", byHeavy),
	"events since a time":                        pageOfEvents("events_pkey", since),
	"events between times":                       pageOfEvents("events_pkey", between),
	"events of a user between times":             pageOfEvents("events_user_id", ofHeavy, between, func(f *db.EventFilter, _ ids) { f.Kinds = nil }),
	"events of a user, a kind and between times": pageOfEvents("latchkey_events_user_id_kind", ofHeavy, between),
	"events of a kind between times":             pageOfEvents("latchkey_events_kind", between, func(f *db.EventFilter, _ ids) { f.Kinds = []db.EventKind{"LOGIN"} }),
	"number of events of a rare kind": {"latchkey_events_kind", func(ctx context.Context, d *db.DB, _ ids) error {
		_, err := d.CountEvents(ctx, db.EventFilter{Kinds: []db.EventKind{"ALL_REVOKED"}})
		return err
	}},
}

const longAgo = 1000 * 24 * 60 * 60 * 1_000_000_000

func ofHeavy(f *db.EventFilter, id ids) { f.UserID, f.Kinds = &id.heavy, []db.EventKind{"REFRESH"} }
func byHeavy(f *db.EventFilter, id ids) { f.ActorID, f.Kinds = &id.heavy, []db.EventKind{"REFRESH"} }
func since(f *db.EventFilter, _ ids)    { f.Since = ptr(noon) }
func between(f *db.EventFilter, _ ids)  { f.Since, f.Before = ptr(noon), ptr(noon.Add(longAgo)) }

// pageOfEvents reads a page after an event, with a filter.
func pageOfEvents(index string, narrow ...func(f *db.EventFilter, id ids)) (read struct {
	indexes string
	run     func(ctx context.Context, d *db.DB, id ids) error
}) {
	read.indexes = index
	read.run = func(ctx context.Context, d *db.DB, id ids) error {
		var f db.EventFilter
		for _, n := range narrow {
			n(&f, id)
		}
		_, err := d.Events(ctx, f, db.Page{Limit: 20, After: id.event})
		return err
	}
	return read
}

// ids are of rows in the middle of their tables. heavy is a user with a third of the events.
type ids struct{ user, session, token, event, heavy, link string }

// As tables grow, a scan of one takes longer. The planners prefer an index already for tables of this size.
func TestHotReadsUseIndexes(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		others, events := 8000, 30_000 // as many as PostgreSQL needs to prefer an index
		if d.Dialect() == "sqlite" {
			others, events = 4000, 15_000 // its plans do not depend on the number
		}
		id := fillTables(t, d, others, events)
		usesSearchIndex(t, d)
		for name, read := range hotReads {
			var plans string
			explained := d.Explained(func(query, plan string) { plans += query + "\n" + plan + "\n" })
			if err := read.run(t.Context(), explained, id); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if scan := tableScan.FindString(plans); scan != "" {
				t.Errorf("%s: %s\n%s", name, scan, plans)
			}
			for index := range strings.FieldsSeq(read.indexes) {
				if !usesIndex(d, plans, index) {
					t.Errorf("%s does not use the index %s\n%s", name, index, plans)
				}
			}
		}
	})
}

func ignoreNotFound(err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

// usesSearchIndex checks the plan of the query in PostgreSQL's function, which is not part of the plans of its callers.
func usesSearchIndex(t *testing.T, d *db.DB) {
	t.Helper()
	if d.Dialect() != "postgres" {
		return
	}
	body := *must[*string](t)(db.Get[string](t.Context(), d, "function", "SELECT prosrc FROM pg_proc WHERE proname = 'latchkey_search_users'"))
	explained := d.Explained(func(query, plan string) {
		if !usesIndex(d, plan, "latchkey_users_search") {
			t.Errorf("%s\n%s", query, plan)
		}
	})
	must[[]*string](t)(db.Select[string](t.Context(), explained, "search", strings.ReplaceAll(body, "wanted", "'user77'")))
}

// tableScan matches the scan of a whole table in a plan. SQLite's plans call the parts of a query by the names in page.go.
var tableScan = regexp.MustCompile(`Seq Scan on \w+|(?m)^SCAN (?:users|sessions|api_tokens|events|throttles|deleted_users|webhook_deliveries|links|[a-z])$`)

// usesIndex reports whether a plan uses the index.
func usesIndex(d *db.DB, plan, index string) bool {
	if table, primary := strings.CutSuffix(index, "_pkey"); primary && d.Dialect() == "sqlite" {
		index = "sqlite_autoindex_" + table + "_1"
	}
	return regexp.MustCompile(`\b(?:` + index + `)\b`).MatchString(plan)
}

// fillTables makes 2,000 users, events, and as many rows of each other kind as others says.
func fillTables(t *testing.T, d *db.DB, others, events int) ids {
	t.Helper()
	const users, step = 2000, 500
	fill := func(rows int, insert string) {
		t.Helper()
		for from := 1; from <= rows; from += step { // each statement must end in time on a busy machine too
			const numbers = `(WITH RECURSIVE n (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n) AS n`
			some := fmt.Sprintf(numbers, from, from+step-1)
			must[int64](t)(d.Exec(t.Context(), "fill", strings.ReplaceAll(insert, "numbers", some)))
		}
	}
	fill(users, `INSERT INTO users (id, username, username_key, email, password_hash, roles, search_text, created_at, updated_at)
		SELECT 'user_' || (10000 + i), 'user' || i, 'user' || i, 'user' || i || '@example.com', CASE WHEN i % 500 = 0 THEN '$2b$12$' ELSE '' END,
			CASE WHEN i % 500 = 0 THEN '["ADMIN"]' ELSE '["USER"]' END, 'user' || i || '
' || 'user' || i || '@example.com', '2026-01-31T12:00:00.123456Z', '2026-01-31T12:00:00.123456Z' FROM numbers`)
	fill(others, `INSERT INTO sessions (id, user_id, device, ip, login_network, generation, seen_generation, created_at, rotated_at, idle_at, expires_at)
		SELECT 'session_' || (10000 + i), 'user_' || (10001 + i % 2000), '', '', '', 1, 1,
			'2026-01-31T12:00:00.123456Z', '2026-01-31T12:00:00.123456Z', '2026-02-28T12:00:00.123456Z', '2026-03-31T12:00:00.123456Z' FROM numbers`)
	must[int64](t)(d.Exec(t.Context(), "check sessions", `UPDATE sessions SET check_at = idle_at WHERE id NOT LIKE '%1'`))
	must[int64](t)(d.Exec(t.Context(), "end sessions", `UPDATE sessions SET ended_at = created_at WHERE id LIKE '%5'`))
	fill(others, `INSERT INTO api_tokens (id, user_id, name, digest, scopes, created_at)
		SELECT 'token_' || (10000 + i), 'user_' || (10001 + i % 2000), '', 'sha256:' || i, '[]', '2026-01-31T12:00:00.123456Z' FROM numbers`)
	fill(events, `INSERT INTO events (id, kind, user_id, actor_id, at, ip, device, request_id, detail)
		SELECT 'event_' || (100000 + i), CASE WHEN i % 1000 = 1 THEN 'ALL_REVOKED' WHEN i % 10 = 0 THEN 'REFRESH' ELSE 'LOGIN' END,
			'user_' || (10001 + CASE WHEN i % 3 = 0 THEN 0 ELSE i % 2000 END), 'user_' || (10001 + CASE WHEN i % 3 = 0 THEN 0 ELSE i % 2000 END), '2026-01-31T12:00:00.123456Z', '', '', '', ''
		FROM numbers`)
	fill(others, `INSERT INTO deleted_users (id, deleted_at) SELECT 'user_' || (90000 + i), '2026-01-31T12:00:00.123456Z' FROM numbers`)
	fill(others, `INSERT INTO throttles (key, failures, delay_ms, next_ms, expires_ms) SELECT 'key' || i, 1, 0, 0, i FROM numbers`)
	fill(others, `INSERT INTO webhook_deliveries (id, event_id, url, type, body, created_at)
		SELECT 'delivery_' || (10000 + i), 'event_' || i, 'https://receiver' || (i % 10) || '.example.com', 'user.created', '{}', '2026-01-31T12:00:00.123456Z' FROM numbers`)
	fill(others, `INSERT INTO links (id, kind, email, roles, created_at, expires_at, used_at)
		SELECT 'link_' || (10000 + i), CASE WHEN i % 50 = 0 THEN 'invitation' ELSE 'login' END, 'user' || i || '@example.com', '[]',
			'2026-01-31T12:00:00.123456Z', '2026-03-31T12:00:00.123456Z', NULL FROM numbers`)
	must[int64](t)(d.Exec(t.Context(), "use links", `UPDATE links SET used_at = created_at WHERE id LIKE '%3'`))
	for _, column := range []string{"next_at", "delivered_at", "failed_at"} {
		must[int64](t)(d.Exec(t.Context(), "fill", `UPDATE webhook_deliveries SET `+column+` = created_at WHERE event_id LIKE '%7'`))
	}
	if d.Dialect() == "postgres" {
		must[int64](t)(d.Exec(t.Context(), "analyze", "ANALYZE"))
	}
	return ids{"user_11000", "session_14000", "token_14000", "event_115000", "user_10001", "link_14000"}
}
