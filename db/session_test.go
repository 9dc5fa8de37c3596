package db_test

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// If two concurrent refreshes both rotated, the session would have two chains of refresh tokens. T31.
func TestOneOfEightRotationsWins(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		replicas := [2]*db.DB{dbtest.Open(t, url), dbtest.Open(t, url)}
		d := replicas[0]
		s := addSession(t, d, addUser(t, d, "ann", nil).ID, noon, noon)
		for generation := 1; generation <= 3; generation++ {
			var won atomic.Int32
			err := parallel(8, func(i int) error {
				mine, err := replicas[i%2].RotateSession(t.Context(), s, fmt.Sprint("192.0.2.", i), noon.Add(time.Second), noon.Add(time.Hour))
				if mine {
					won.Add(1)
				}
				return err
			})
			if err != nil || won.Load() != 1 {
				t.Fatalf("%d of 8 won: %v", won.Load(), err)
			}
			if s = must[*db.Session](t)(d.Session(t.Context(), s.ID)); s.Generation != generation+1 || s.SeenGeneration != generation {
				t.Errorf("generation %d, seen %d; want %d, %d", s.Generation, s.SeenGeneration, generation+1, generation)
			}
		}
		if !s.RotatedAt.Equal(noon.Add(time.Second).Time) || !s.IdleAt.Equal(noon.Add(time.Hour).Time) {
			t.Errorf("rotated %v, idle %v", s.RotatedAt, s.IdleAt)
		}
	})
}

func TestAnEndedSessionDoesNotRotate(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		u := addUser(t, d, "ann", nil)
		s := addSession(t, d, u.ID, noon.Add(time.Hour), noon.Add(time.Hour))
		if err := d.EndSession(t.Context(), u.ID, s.ID, "logout", noon); err != nil {
			t.Fatal(err)
		}
		if won := must[bool](t)(d.RotateSession(t.Context(), s, "", noon, noon)); won {
			t.Error("it did")
		}
		if err := d.EndSession(t.Context(), u.ID, s.ID, "again", noon); err == nil {
			t.Error("it ended twice")
		}
		s = must[*db.Session](t)(d.Session(t.Context(), s.ID))
		if s.EndedAt == nil || !s.EndedAt.Equal(noon.Time) || *s.EndedBecause != "logout" {
			t.Errorf("ended %v because %v", s.EndedAt, s.EndedBecause)
		}
	})
}

func TestAReceivedGenerationIsNeverForgotten(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		s := addSession(t, d, addUser(t, d, "ann", nil).ID, noon, noon)
		for _, c := range []struct{ saw, want int }{{2, 0}, {1, 1}, {0, 1}, {-1, 1}} { // generation 2 has not been issued yet
			if err := d.SawGeneration(t.Context(), s.ID, c.saw); err != nil {
				t.Fatal(err)
			}
			if got := must[*db.Session](t)(d.Session(t.Context(), s.ID)); got.SeenGeneration != c.want {
				t.Errorf("saw %d: %d, want %d", c.saw, got.SeenGeneration, c.want)
			}
		}
	})
}

func TestEndSessionsEndsThoseThatLiveAndCountsThem(t *testing.T) {
	now, later := noon.Add(time.Minute), noon.Add(time.Hour)
	each(t, func(t *testing.T, d *db.DB) {
		ann, ben := addUser(t, d, "ann", nil), addUser(t, d, "ben", nil)
		kept, _, _ := addSession(t, d, ann.ID, later, later), addSession(t, d, ann.ID, later, later), addSession(t, d, ann.ID, later, later)
		addSession(t, d, ann.ID, now, later) // has just become idle for too long
		addSession(t, d, ann.ID, later, now) // has just reached its end
		ended := addSession(t, d, ann.ID, later, later)
		if err := d.EndSession(t.Context(), ann.ID, ended.ID, "before", noon); err != nil {
			t.Fatal(err)
		}
		bens := addSession(t, d, ben.ID, later, later)
		if err := d.EndSession(t.Context(), ben.ID, kept.ID, "another's", now); err == nil {
			t.Error("ben ended ann's session")
		}
		if n := must[int](t)(d.CountSessions(t.Context(), ann.ID, now)); n != 3 {
			t.Errorf("%d live, want 3", n)
		}
		for _, c := range []struct {
			except string
			want   int
		}{{kept.ID, 2}, {kept.ID, 0}, {"", 1}, {"", 0}} {
			if n := must[int](t)(d.EndSessions(t.Context(), ann.ID, c.except, "logout", now)); n != c.want {
				t.Errorf("but %q: ended %d, want %d", c.except, n, c.want)
			}
		}
		for id, want := range map[string]bool{kept.ID: false, ended.ID: false, bens.ID: true} {
			if s := must[*db.Session](t)(d.Session(t.Context(), id)); s.Live(now) != want {
				t.Errorf("%s lives: %t", id, !want)
			}
		}
		if s := must[*db.Session](t)(d.Session(t.Context(), ended.ID)); *s.EndedBecause != "before" {
			t.Errorf("the reason was overwritten by %q", *s.EndedBecause)
		}
	})
}

// The two joins list their columns: a missing one would be read as zero.
func TestWhatATokenStandsForIsReadWhole(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		u := addUser(t, d, "ann", func(u *db.User) {
			u.Email, u.Name, u.PasswordHash, u.Roles = ptr("ann@example.com"), ptr("Ann"), "hash", db.JSONList[db.Role]{"USER"}
		})
		if err := d.RecordLogin(t.Context(), u.ID, "hash", "", noon); err != nil {
			t.Fatal(err)
		}
		u.DisabledAt, u.EmailVerifiedAt, u.Locale = ptr(noon.Add(time.Second)), ptr(noon), "de"
		if err := d.SaveUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		s, token := addSession(t, d, u.ID, noon.Add(time.Hour), noon.Add(2*time.Hour)), addToken(t, d, u.ID)
		must[bool](t)(d.RotateSession(t.Context(), s, "192.0.2.2", noon.Add(time.Minute), noon.Add(time.Hour)))
		if err := d.EndSession(t.Context(), u.ID, s.ID, "logout", noon.Add(3*time.Hour)); err != nil {
			t.Fatal(err)
		}
		user := must[*db.User](t)(d.UserByID(t.Context(), u.ID))
		session := must[*db.Session](t)(d.Session(t.Context(), s.ID))
		stored := must[*db.APIToken](t)(d.APIToken(t.Context(), token.ID))
		for _, row := range []any{user, session, stored} {
			wantAllFields(t, row)
		}
		bySession := must[*db.SessionOwner](t)(d.SessionOwner(t.Context(), s.ID))
		if want := (&db.SessionOwner{User: *user, Session: *session}); !reflect.DeepEqual(bySession, want) {
			t.Errorf("got  %+v\nwant %+v", bySession, want)
		}
		byToken := must[*db.TokenOwner](t)(d.TokenOwner(t.Context(), token.Digest))
		if want := (&db.TokenOwner{User: *user, Token: *stored}); !reflect.DeepEqual(byToken, want) {
			t.Errorf("got  %+v\nwant %+v", byToken, want)
		}
	})
}

// addToken stores an API token that was used and revoked.
func addToken(t *testing.T, d *db.DB, userID string) *db.APIToken {
	t.Helper()
	token := &db.APIToken{
		ID: db.NewID(db.TokenID), UserID: userID, Name: "backup", Digest: "sha256:" + db.NewID("x"), Scopes: db.JSONList[string]{"a:b", "c:d"},
		CreatedAt: noon, ExpiresAt: ptr(noon.Add(time.Hour)),
	}
	if err := d.CreateAPIToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if err := d.TouchAPITokens(t.Context(), noon.Add(time.Second), token.ID); err != nil {
		t.Fatal(err)
	}
	if err := d.TouchAPITokens(t.Context(), noon, token.ID, db.NewID(db.TokenID)); err != nil { // an earlier use does not replace a later one
		t.Fatal(err)
	}
	if err := d.RevokeAPIToken(t.Context(), userID, token.ID, noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := must[*db.APIToken](t)(d.APIToken(t.Context(), token.ID)); !got.LastUsedAt.Equal(noon.Add(time.Second).Time) {
		t.Errorf("last used %v", got.LastUsedAt)
	}
	return token
}

// wantAllFields fails if a field of the row is zero: the test could not detect that its column is missing.
func wantAllFields(t *testing.T, row any) {
	t.Helper()
	v := reflect.ValueOf(row).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Extra" {
			t.Errorf("%s.%s is zero", v.Type().Name(), name)
		}
	}
}

func TestARevokedTokenIsNotListedAndNotRevokedAgain(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		ann, ben := addUser(t, d, "ann", nil), addUser(t, d, "ben", nil)
		revoked := addToken(t, d, ann.ID)
		live := &db.APIToken{ID: db.NewID(db.TokenID), UserID: ann.ID, Name: "x", Digest: "sha256:live", CreatedAt: noon}
		if err := d.CreateAPIToken(t.Context(), live); err != nil {
			t.Fatal(err)
		}
		if d.RevokeAPIToken(t.Context(), ann.ID, revoked.ID, noon) == nil || d.RevokeAPIToken(t.Context(), ben.ID, live.ID, noon) == nil {
			t.Error("a revoked token, or another's, was revoked")
		}
		page := must[db.PageOf[db.APIToken]](t)(d.APITokens(t.Context(), ann.ID, db.Page{Limit: 10}))
		n := must[int](t)(d.CountAPITokens(t.Context(), ann.ID))
		if len(page.Rows) != 1 || page.Rows[0].ID != live.ID || n != 1 {
			t.Errorf("%d listed, %d counted, want the one that is live", len(page.Rows), n)
		}
		wantConflict(t, d.CreateAPIToken(t.Context(), &db.APIToken{ID: "token_x", UserID: ann.ID, Digest: live.Digest}), "api_tokens_digest")
	})
}

// T38.
func TestADeletedUserTakesAllRowsAlong(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		u := addUser(t, d, "ann", nil)
		s, token := addSession(t, d, u.ID, noon, noon), addToken(t, d, u.ID)
		must[int64](t)(d.Exec(t.Context(), "delete", "DELETE FROM users WHERE id = $1", u.ID))
		if _, err := d.Session(t.Context(), s.ID); err == nil {
			t.Error("the session is still there")
		}
		if _, err := d.APIToken(t.Context(), token.ID); err == nil {
			t.Error("the API token is still there")
		}
		if err := d.CreateSession(t.Context(), s); err == nil {
			t.Error("a session without a user was stored")
		}
	})
}
