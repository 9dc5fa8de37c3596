package auth_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/token"
)

// Secret scanners know the form; it is API.
// T34, T46.
func TestAnAPITokenHasTheDocumentedForm(t *testing.T) {
	form := regexp.MustCompile(`^lk_[0-9A-Za-z]{36}$`)
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	seen := map[string]bool{}
	for range 1000 {
		text := token.NewAPIToken()
		var sum uint64
		for _, c := range text[33:] {
			sum = sum*62 + uint64(strings.IndexRune(base62, c))
		}
		if !form.MatchString(text) || sum != uint64(crc32.ChecksumIEEE([]byte(text[:33]))) || !token.IsAPIToken(text) || seen[text] {
			t.Fatalf("%s: not well-formed, or made twice", text)
		}
		seen[text] = true
	}
}

// T46.
func TestAnAPITokenStandsForItsOwner(t *testing.T) {
	f := onSQLite(t)
	token, row := f.apiToken(f.root, "users:read")
	v := auth.ViewerFrom(f.as(token))
	if v.ID() != f.root.ID || v.TokenID != row.ID || v.SessionID != "" || !slices.Equal(v.Scopes, auth.Granted{"users:read"}) {
		t.Errorf("viewer %s, token %s, session %q, scopes %v", v.ID(), v.TokenID, v.SessionID, v.Scopes)
	}
	stored := must[*db.APIToken](t)(f.db.APIToken(t.Context(), row.ID))
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(token))); stored.Digest != want {
		t.Errorf("stored as %s, want %s", stored.Digest, want)
	}
}

// A typing error costs no look into the database, and guesses cost the guesser.
// T47.
func TestADamagedAPITokenIsRefusedWithoutTheDatabase(t *testing.T) {
	f := onSQLite(t)
	madeUp := token.NewAPIToken()
	token, _ := f.apiToken(f.ann)
	f.wantRefused("token", token, "")
	f.wantRefused("well-formed, but unknown", madeUp, auth.Malformed)
	f.db.Close()
	v := f.Identify(t.Context(), auth.Client{}, []string{"Bearer " + token})
	if err := v.Authenticated(); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("the good token: %v, want ErrUnavailable", err)
	}
	for i := range token {
		f.wantRefused(fmt.Sprint("character ", i), flip(token, i), auth.Malformed)
	}
	for what, text := range map[string]string{
		"cut": without(token, 1), "longer": token + "0", "prefix": "lk_", "case": "LK_" + token[3:], "swapped": token[:4] + token[5:6] + token[4:5] + token[6:], "twice": token + token,
		"another prefix": "lr_" + token[3:], "no checksum": without(token, 6),
	} {
		if text != token {
			f.wantRefused(what, text, auth.Malformed)
		}
	}
}

// T48.
func TestAnAPITokenEnds(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ann := f.asUser("ann")
		until := db.TimeOf(f.now().Add(time.Hour))
		short, _, err := f.CreateAPIToken(ann, auth.CreateAPITokenInput{Name: "an hour", ExpiresAt: &until})
		if err != nil {
			t.Fatal(err)
		}
		long, row, err := f.CreateAPIToken(ann, auth.CreateAPITokenInput{Name: "for ever"})
		if err != nil {
			t.Fatal(err)
		}
		f.advance(time.Hour - time.Microsecond)
		f.wantRefused("just before its end", short, "")
		f.advance(time.Microsecond)
		f.wantRefused("at its end", short, auth.Expired)
		f.advance(1000 * 24 * time.Hour)
		f.wantRefused("one without end", long, "")

		if _, err := f.RevokeAPIToken(f.asUser("ben"), row.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("ben revoked ann's token: %v", err)
		}
		ann = f.asUser("ann")
		revoked := must[*db.APIToken](t)(f.RevokeAPIToken(ann, row.ID))
		if revoked.RevokedAt == nil {
			t.Error("it does not say when it was revoked")
		}
		f.wantRefused("revoked", long, auth.Revoked)
		if _, err := f.RevokeAPIToken(ann, row.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("revoked twice: %v", err)
		}
		if _, err := f.APIToken(ann, row.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a revoked token is still shown: %v", err)
		}
	})
}

// T39, T50.
func TestAnAPITokenNeverHasMoreThanItsOwner(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.addUser("second", auth.RoleAdmin)
		_, _, err := f.CreateAPIToken(f.asUser("ann"), auth.CreateAPITokenInput{Name: "x", Scopes: []string{"users:read"}})
		if !is[*auth.ForbiddenError](err) {
			t.Errorf("ann made a token with a scope that she does not have: %v", err)
		}
		_, _, err = f.CreateAPIToken(f.asUser("root"), auth.CreateAPITokenInput{Name: "x", Scopes: []string{"users:raed"}})
		if !is[*auth.InputError](err) {
			t.Errorf("a scope that there is not: %v", err)
		}
		token, _ := f.apiToken(f.root, "users:read", "users:write")
		for _, c := range []struct {
			roles []db.Role
			want  int
		}{{[]db.Role{auth.RoleUser}, 0}, {[]db.Role{}, 0}, {[]db.Role{auth.RoleAdmin}, 2}} {
			must[*db.User](t)(f.UpdateUser(operator(), f.root.ID, auth.UserChanges{Roles: &c.roles}))
			v := auth.ViewerFrom(f.as(token))
			if v.ID() != f.root.ID || len(v.Scopes) != c.want {
				t.Errorf("with roles %v: scopes %v, want %d", c.roles, v.Scopes, c.want)
			}
		}
	})
}

// T51.
func TestNobodyHasMoreThanAHundredAPITokens(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		err := f.db.Transact(t.Context(), func(tx *db.DB) error {
			for i := range auth.MaxAPITokens - 1 {
				row := &db.APIToken{ID: db.NewID(db.TokenID), UserID: f.ann.ID, Name: "x", Digest: fmt.Sprint("sha256:", i), CreatedAt: db.TimeOf(f.now())}
				if err := tx.CreateAPIToken(t.Context(), row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ann := f.asUser("ann")
		replicas := []*fixture{f, f.replica()}
		var made atomic.Int32
		parallel(4, func(i int) {
			_, _, err := replicas[i%2].CreateAPIToken(ann, auth.CreateAPITokenInput{Name: "one more"})
			if err == nil {
				made.Add(1)
			} else if !is[*auth.ConflictError](err) {
				t.Error(err)
			}
		})
		if made.Load() != 1 {
			t.Errorf("%d of 4 took the last place", made.Load())
		}
		f.apiToken(f.ben) // another's tokens do not count
		row := must[db.PageOf[db.APIToken]](t)(f.APITokens(ann, f.ann.ID, db.Page{Limit: 1})).Rows[0]
		must[*db.APIToken](t)(f.RevokeAPIToken(ann, row.ID))
		f.apiToken(f.ann) // nor those that are revoked
	})
}

// Whoever finds a token in a log must not be able to make more of it.
// T50.
func TestAnAPITokenManagesNoCredentials(t *testing.T) {
	f := onSQLite(t)
	token, row := f.apiToken(f.root, auth.DefaultRights.Granted(f.root.Roles)...)
	_, other := f.apiToken(f.ann)
	session := f.session(f.login("root").RefreshToken)
	ctx := f.as(token)
	second := func(_ any, err error) error { return err }
	third := func(_, _ any, err error) error { return err }
	for what, err := range map[string]error{
		"make a token": third(f.CreateAPIToken(ctx, auth.CreateAPITokenInput{Name: "x"})), "make another's token": third(f.CreateAPITokenFor(ctx, f.ann, auth.CreateAPITokenInput{Name: "x"})),
		"revoke itself": second(f.RevokeAPIToken(ctx, row.ID)), "revoke another's token": second(f.RevokeAPIToken(ctx, other.ID)), "change the password": third(f.ChangePassword(ctx, password, "another password 1", false)),
		"set a password": second(f.SetUserPassword(ctx, f.ann.ID, "another password 1", false)), "log out": second(f.Logout(ctx, auth.AllSessions, false)), "log out others": second(f.Logout(ctx, auth.OtherSessions, false)),
		"end a user's sessions": second(f.RevokeSessions(ctx, f.ann.ID, false)), "end a session": second(f.RevokeSession(ctx, session.ID)), "delete a user": f.DeleteUser(ctx, f.ann.ID),
		"prove the password": second(f.Reauthenticate(ctx, auth.ReauthenticateInput{Password: password})), "rotate keys": f.RotateKeys(ctx, true),
	} {
		if !is[*auth.ForbiddenError](err) {
			t.Errorf("%s: got %v, want a refusal", what, err)
		}
	}
	f.wantRefused("the token", token, "")
	f.login("root")
	if s := must[*db.Session](t)(f.db.Session(t.Context(), session.ID)); s.EndedAt != nil {
		t.Error("a session has ended")
	}
}

// The time is for people who look for tokens that nobody needs; writing it must not cost a write a request.
func TestTheLastUseIsNotedOnceAMinute(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		token, row := f.apiToken(f.ann)
		begin := f.now()
		for _, c := range []struct{ advance, want time.Duration }{{0, 0}, {30 * time.Second, 0}, {29 * time.Second, 0}, {time.Second, time.Minute}, {time.Hour, 61 * time.Minute}} {
			f.advance(c.advance)
			f.wantRefused("token", token, "")
			f.FlushUses(t.Context())
			if used := must[*db.APIToken](t)(f.db.APIToken(t.Context(), row.ID)).LastUsedAt; used == nil || !used.Equal(begin.Add(c.want)) {
				t.Errorf("after %v it was last used at %v, want %v", f.now().Sub(begin), used, begin.Add(c.want))
			}
		}
	})
}

func TestUsesAreWrittenWhenTheServiceEnds(t *testing.T) {
	f := onSQLite(t)
	token, row := f.apiToken(f.ann)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	f.wantRefused("token", token, "")
	stop()
	<-done
	if must[*db.APIToken](t)(f.db.APIToken(t.Context(), row.ID)).LastUsedAt == nil {
		t.Error("the use is lost")
	}
}
