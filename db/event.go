package db

import (
	"context"
	"slices"
	"strings"
	"time"
)

// EventKind is the kind of an event; package auth lists them.
type EventKind string

// An Event is something that happened to an account.
type Event struct {
	ID        string    `db:"id" json:"id"`
	Kind      EventKind `db:"kind" json:"kind"`
	UserID    *string   `db:"user_id" json:"userId"`   // the account, if known
	ActorID   *string   `db:"actor_id" json:"actorId"` // the user who caused it; nil for an anonymous caller or the command line
	At        Time      `db:"at" json:"at"`
	IP        string    `db:"ip" json:"ip"`
	Device    string    `db:"device" json:"device"`
	RequestID string    `db:"request_id" json:"requestId"`
	ObjectID  *string   `db:"object_id" json:"objectId"` // the session, API token or key
	Detail    string    `db:"detail" json:"detail"`
}

// CreateEvent stores an event.
func (db *DB) CreateEvent(ctx context.Context, e *Event) error {
	_, err := db.Exec(ctx, "create event", `
		INSERT INTO events (id, kind, user_id, actor_id, at, ip, device, request_id, object_id, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		e.ID, e.Kind, e.UserID, e.ActorID, e.At, e.IP, e.Device, e.RequestID, e.ObjectID, e.Detail)
	return err
}

// Event returns the event with the ID.
func (db *DB) Event(ctx context.Context, id string) (*Event, error) {
	e := new(Event)
	return e, db.get(ctx, e, "event", `SELECT * FROM events WHERE id = $1`, id)
}

// An EventFilter narrows a list of events. Zero values match all events.
type EventFilter struct {
	Kinds         []EventKind
	UserID        *string
	ActorID       *string
	Since, Before *Time
}

// Events lists events, oldest first.
func (db *DB) Events(ctx context.Context, f EventFilter, p Page) (PageOf[Event], error) {
	return events(f).Page(ctx, db, p)
}

// CountEvents counts what Events lists, up to MaxCount.
func (db *DB) CountEvents(ctx context.Context, f EventFilter) (int, error) {
	return events(f).Count(ctx, db)
}

// idSlack is how far the time in an event's ID may be from the event's own. Both are read at the same moment.
const idSlack = time.Minute

func events(f EventFilter) Listing[Event] {
	l := Listing[Event]{Op: "events", From: `events`}
	var where []string
	and := func(condition string, arg any) {
		l.Args = append(l.Args, arg)
		where = append(where, condition+placeholder(len(l.Args)))
	}
	// The range of IDs is for the indexes, which are ordered by ID.
	if f.Since != nil {
		and("at >= ", *f.Since)
		l.after = firstID(EventID, f.Since.Add(-idSlack))
	}
	if f.Before != nil {
		and("at < ", *f.Before)
		l.before = firstID(EventID, f.Before.Add(idSlack))
	}
	var key []any
	switch {
	case f.UserID != nil:
		l.columns, key = []string{"user_id"}, []any{*f.UserID}
		if f.ActorID != nil {
			and("actor_id = ", *f.ActorID)
		}
	case f.ActorID != nil:
		l.columns, key = []string{"actor_id"}, []any{*f.ActorID}
	}
	l.Where = strings.Join(where, " AND ")
	if len(f.Kinds) > 0 {
		l.columns = append(l.columns, "kind")
	}
	for _, kind := range slices.Compact(slices.Sorted(slices.Values(f.Kinds))) {
		l.keys = append(l.keys, append(slices.Clone(key), kind))
	}
	if len(l.keys) == 0 && key != nil {
		l.keys = [][]any{key}
	}
	return l
}

// ForgetUserInEvents removes personal data from the events about the user's account and from those that the user
// caused: addresses, devices, and the details of events about the account. Kinds and times are kept.
func (db *DB) ForgetUserInEvents(ctx context.Context, userID string) error {
	_, err := db.Exec(ctx, "forget user in events", `
		UPDATE events SET ip = '', device = '', detail = CASE WHEN user_id = $1 THEN '' ELSE detail END
		WHERE user_id = $1 OR actor_id = $1`, userID)
	return err
}

// DeleteEventsBefore deletes older events and returns how many.
func (db *DB) DeleteEventsBefore(ctx context.Context, at Time) (int, error) {
	return db.deleteInBatches(ctx, "delete events", "events", "id", `at < $1`, "at", at)
}
