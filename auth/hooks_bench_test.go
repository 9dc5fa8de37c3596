package auth_test

import (
	"context"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// What hooks and webhooks add to a login, whose password costs next to nothing here:
//
//	go test -run '^$' -bench BenchmarkLoginWithHooks -benchmem ./auth
func BenchmarkLoginWithHooks(b *testing.B) {
	for _, c := range []struct {
		name   string
		change func(*auth.Options)
	}{
		{"none", func(*auth.Options) {}},
		{"hook", func(o *auth.Options) {
			o.OnEvent = func(context.Context, *db.DB, *db.Event) error { return nil }
		}},
		{"webhook", receiver},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := start(b, dbtest.SQLite(b))
			f.Service = f.service(f.db, secrets, c.change, func(o *auth.Options) { o.Argon2 = auth.Argon2{Memory: 64, Time: 1, Threads: 1} })
			secret := "the password of carl"
			must[*db.User](b)(f.CreateUser(operator(), auth.CreateUserInput{Username: "carl", Password: &secret}))
			b.ReportAllocs()
			for b.Loop() {
				must[*auth.LoginPayload](b)(f.Login(b.Context(), credentials("carl", secret)))
			}
		})
	}
}
