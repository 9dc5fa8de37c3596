package db_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// subscribing opens the database as another process would, and listens.
func subscribing(t *testing.T, url string) *db.DB {
	t.Helper()
	d := dbtest.Open(t, url)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Listen(ctx, db.Listener{Received: func(db.Notice) {}, Synced: func(time.Duration) {}, Disconnected: func(error) {}})
	}()
	t.Cleanup(func() { stop(); <-done })
	return d
}

func next(t *testing.T, payloads <-chan string) string {
	t.Helper()
	select {
	case p, open := <-payloads:
		if !open {
			return "closed"
		}
		return p
	case <-time.After(10 * time.Second):
		return "nothing"
	}
}

func TestWhatIsPublishedReachesEveryProcessWhenItIsCommitted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		here, there := subscribing(t, url), subscribing(t, url)
		var subscriptions []<-chan string
		for _, d := range []*db.DB{here, there} {
			subscriptions = append(subscriptions, must[<-chan string](t)(d.Subscribe(t.Context(), "orders")))
		}
		undone := errors.New("undone")
		for payload, result := range map[string]error{"never": undone, "order_1": nil} {
			err := here.Transact(t.Context(), func(tx *db.DB) error {
				return errors.Join(tx.Publish(t.Context(), "others", "x"), tx.Publish(t.Context(), "orders", payload), result)
			})
			if !errors.Is(err, result) {
				t.Fatal(err)
			}
		}
		if err := there.Publish(t.Context(), "orders", "order_2"); err != nil {
			t.Fatal(err)
		}
		for i, s := range subscriptions {
			if first, second := next(t, s), next(t, s); first != "order_1" || second != "order_2" {
				t.Errorf("process %d received %s and %s", i, first, second)
			}
		}
		if err := here.Publish(t.Context(), "orders", strings.Repeat("x", 4001)); err == nil {
			t.Error("a payload that PostgreSQL refuses was accepted")
		}
	})
}

func TestASubscriptionEndsWhenPayloadsMayBeMissed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		d := dbtest.Open(t, url)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.Listen(ctx, db.Listener{Received: func(db.Notice) {}, Synced: func(time.Duration) {}, Disconnected: func(error) {}})
		}()
		payloads := must[<-chan string](t)(d.Subscribe(t.Context(), "orders"))
		stop()
		<-done
		if got := next(t, payloads); got != "closed" {
			t.Errorf("got %s, want the end", got)
		}
		limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := d.Subscribe(limited, "orders"); !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("without Listen: %v", err)
		}
	})
}

func TestProgramsHaveMigrationsOfTheirOwn(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, url string) {
		files := fstest.MapFS{
			"00001_orders.sql":         {Data: []byte("-- +goose Up\nCREATE TABLE orders (id text NOT NULL PRIMARY KEY, user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE);")},
			"00002_extra.sqlite.sql":   {Data: []byte("-- +goose Up\nCREATE INDEX orders_user ON orders (user_id);")},
			"00002_extra.postgres.sql": {Data: []byte("-- +goose Up\nCREATE INDEX orders_user ON orders (user_id);")},
		}
		shop := db.WithMigrations(db.MigrationSet{Name: "shop", Files: files})
		var all [4]*db.DB
		for i := range all {
			all[i] = dbtest.Open(t, url, shop)
		}
		if err := all[0].CheckMigrated(t.Context()); !errors.Is(err, db.ErrOutdated) {
			t.Errorf("an empty database: %v", err)
		}
		var group sync.WaitGroup
		for _, d := range all {
			group.Go(func() {
				if _, err := d.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if err := all[0].CheckMigrated(t.Context()); err != nil {
			t.Error(err)
		}
		orders := must[[]*struct{ ID string }](t)(db.Select[struct{ ID string }](t.Context(), all[0], "orders", `SELECT id FROM orders`))
		if orders == nil || len(orders) != 0 {
			t.Errorf("got %v, want an empty list", orders)
		}
		states := must[[]db.Migration](t)(all[1].Migrations(t.Context()))
		if last := states[len(states)-1]; !strings.HasPrefix(last.Name, "00002_extra.") || last.State() != "applied" {
			t.Errorf("the last migration is %+v", last)
		}
		// Latchkey's own program, which does not know the orders, works with the same database.
		if err := dbtest.Open(t, url).CheckMigrated(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
