package keys_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth/keys"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// open opens the keys of a database with the clock at *now. It counts the calls of Changed.
func open(t *testing.T, d *db.DB, now *time.Time, event func(kind, keyID string) *db.Event) (ring *keys.Ring, changes *int) {
	t.Helper()
	changes = new(int)
	eventOf := func(kind string) func(context.Context, string, string) *db.Event {
		return func(_ context.Context, keyID, _ string) *db.Event { return event(kind, keyID) }
	}
	ring, err := keys.Open(t.Context(), keys.Options{
		DB: d, Secrets: mustSecrets("the secret of these tests 1234567890"), RotateAfter: 90 * 24 * time.Hour,
		Now: func() time.Time { return *now }, Log: slog.New(slog.DiscardHandler),
		Synced: func() bool { return false }, Changed: func() { *changes++ }, Created: eventOf("CREATED"), Retired: eventOf("RETIRED"),
		Record: func(ctx context.Context, tx *db.DB, e *db.Event) error { return tx.CreateEvent(ctx, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return ring, changes
}

func states(t *testing.T, ring *keys.Ring) (all []string) {
	t.Helper()
	list, err := ring.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		all = append(all, k.State)
	}
	return all
}

func TestAnOldKeyIsFollowedByTheNextAndThenRetired(t *testing.T) {
	now := time.Now()
	var events []string
	ring, changes := open(t, dbtest.Open(t, dbtest.SQLite(t)), &now, func(kind, keyID string) *db.Event {
		events = append(events, kind)
		return &db.Event{ID: db.NewID(db.EventID), Kind: db.EventKind(kind), At: db.TimeOf(now), ObjectID: &keyID}
	})
	for i, step := range []struct {
		after time.Duration
		want  []string
	}{
		{89 * 24 * time.Hour, []string{"current"}},
		{2 * 24 * time.Hour, []string{"current", "next"}},
		{keys.MaxAge, []string{"current", "next"}},
		{2 * time.Minute, []string{"previous", "current"}},
		{time.Hour, []string{"retired", "current"}},
	} {
		now = now.Add(step.after)
		if err := ring.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := states(t, ring); !slices.Equal(got, step.want) {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	if !slices.Equal(events, []string{"CREATED", "RETIRED"}) || *changes != 2 {
		t.Errorf("events %v, %d calls of Changed", events, *changes)
	}
}

// A key that is not in the audit log must not exist.
func TestAKeyIsNotChangedWithoutItsEvent(t *testing.T) {
	now := time.Now()
	id := db.NewID(db.EventID)
	ring, changes := open(t, dbtest.Open(t, dbtest.SQLite(t)), &now, func(kind, _ string) *db.Event {
		return &db.Event{ID: id, Kind: db.EventKind(kind), At: db.TimeOf(now)} // the same ID each time: only the first can be stored
	})
	if err := ring.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	before := states(t, ring)
	list, _ := ring.List(t.Context())
	if err := ring.Rotate(t.Context(), true); err == nil {
		t.Error("a key was made without its event")
	}
	if err := ring.Retire(t.Context(), list[0].ID); err == nil {
		t.Error("a key was retired without its event")
	}
	if got := states(t, ring); !slices.Equal(got, before) || *changes != 1 {
		t.Errorf("%v, want %v; %d calls of Changed", got, before, *changes)
	}
}

// Rows are changed by hand too: a server without a key could not sign, nor start again.
func TestAKeyIsMadeIfAllAreRetiredByHand(t *testing.T) {
	now, d := time.Now(), dbtest.Open(t, dbtest.SQLite(t))
	event := func(kind, _ string) *db.Event {
		return &db.Event{ID: db.NewID(db.EventID), Kind: db.EventKind(kind), At: db.TimeOf(now)}
	}
	ring, _ := open(t, d, &now, event)
	for what, mend := range map[string]func() error{
		"at a start":     func() error { ring, _ = open(t, d, &now, event); return nil },
		"while it runs":  func() error { return ring.Maintain(t.Context()) },
		"by an operator": func() error { return ring.Rotate(t.Context(), true) },
	} {
		current, _ := ring.Current(now)
		if err := d.RetireSigningKey(t.Context(), current, db.TimeOf(now)); err != nil {
			t.Fatal(err)
		}
		if err := mend(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if next, _ := ring.Current(now); next == current {
			t.Errorf("%s: a retired key signs", what)
		}
	}
}
