package library

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/test/servertest"
)

var errClosed = errors.New("the shop is closed")

// A client must be told by the program's own code that it refuses, and by the usual one where the hook merely fails. What
// was refused sends no webhook. T230.
func TestAHookRefusesWithTheProgramsOwnCode(t *testing.T) {
	var closed, received atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { received.Add(1) }))
	defer receiver.Close()
	o := app.Options{
		OnEvent: func(ctx context.Context, tx *db.DB, e *db.Event) error {
			switch {
			case closed.Load() == 0:
				return nil
			case e.Kind == auth.EventLogin:
				return &graph.Error{Code: "CLOSED", Message: "come back tomorrow"}
			case e.Kind == auth.EventLoginFailed:
				_, err := tx.Exec(ctx, "a bug", `SELECT * FROM no_such_table`)
				return err
			}
			return errClosed
		},
		Errors: func(err error) *graph.Error {
			if errors.Is(err, errClosed) {
				return &graph.Error{Code: "SHOP_CLOSED", Message: errClosed.Error()}
			}
			return nil
		},
	}
	servertest.Each(t, o, func(t *testing.T, s *servertest.Server) {
		closed.Store(0)
		received.Store(0)
		root, anonymous := s.User("root", auth.RoleAdmin), s.Anonymous()
		for deadline := time.Now().Add(10 * time.Second); received.Load() < 2; time.Sleep(10 * time.Millisecond) { // created, logged in
			if time.Now().After(deadline) {
				t.Fatalf("%d messages arrived", received.Load())
			}
		}
		closed.Store(1)
		anonymous.Ask(`mutation { login(input: {username: "root", password: "the password of root"}) { accessToken } }`).Want("CLOSED")
		anonymous.Ask(`mutation { login(input: {username: "root", password: "not the password"}) { accessToken } }`).Want("INVALID_CREDENTIALS")
		root.Ask(`mutation { createUser(input: {username: "eve"}) { user { id } } }`).Want("SHOP_CLOSED")
		if got := root.Ask(`{ users { totalCount } }`).Want("").Text("users.totalCount"); got != "1" {
			t.Errorf("there are %s users", got)
		}
		root.Ask(`mutation { logout { ok } }`)
		time.Sleep(200 * time.Millisecond)
		if n := received.Load(); n != 2 {
			t.Errorf("%d messages arrived", n)
		}
	}, func(s *servertest.Settings) {
		s.Webhooks = app.WebhookSettings{URLs: []string{receiver.URL}, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", AllowPrivate: true}
	})
}
