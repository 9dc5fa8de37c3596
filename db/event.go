package db

import (
	"context"
	"strings"
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

// CountEvents counts what Events lists.
func (db *DB) CountEvents(ctx context.Context, f EventFilter) (int, error) {
	return events(f).Count(ctx, db)
}

func events(f EventFilter) Listing[Event] {
	l := Listing[Event]{Op: "events", From: `events`}
	var where []string
	and := func(condition string, arg any) {
		l.Args = append(l.Args, arg)
		where = append(where, condition+placeholder(len(l.Args)))
	}
	if f.UserID != nil {
		and("user_id = ", *f.UserID)
	}
	if f.ActorID != nil {
		and("actor_id = ", *f.ActorID)
	}
	if f.Since != nil {
		and("at >= ", *f.Since)
	}
	if f.Before != nil {
		and("at < ", *f.Before)
	}
	if len(f.Kinds) > 0 {
		var kinds []string
		for _, k := range f.Kinds {
			l.Args = append(l.Args, k)
			kinds = append(kinds, placeholder(len(l.Args)))
		}
		where = append(where, "kind IN ("+strings.Join(kinds, ", ")+")")
	}
	l.Where = strings.Join(where, " AND ")
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
	return db.repeat(ctx, "delete events", `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < $1 LIMIT 1000)`, at)
}
