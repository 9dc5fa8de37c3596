package auth_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

func TestASecretIsNeverPrinted(t *testing.T) {
	const text = "do-not-print-this-secret-anywhere"
	all := mustSecrets(text)
	var out bytes.Buffer
	options := auth.Options{Secrets: all}
	hidden := struct{ secret auth.Secret }{all[0]} // package fmt calls no methods of a hidden field
	service := must[*auth.Service](t)(auth.New(t.Context(), auth.Options{DB: dbtest.Open(t, dbtest.SQLite(t)), Secrets: all, Issuer: issuer}))
	for _, v := range []any{all, all[0], &all[0], struct{ Secret auth.Secret }{all[0]}, options, &options, map[string]auth.Secret{"x": all[0]}, hidden, service} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", v)
	}
	if err := json.NewEncoder(&out).Encode(all); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{text, fmt.Sprintf("%x", text), strings.Trim(fmt.Sprint([]byte(text)), "[]")} {
		if i := strings.Index(out.String(), form); i >= 0 {
			t.Errorf("printed: …%s", out.String()[max(0, i-80):i+len(form)])
		}
	}
	if !strings.Contains(out.String(), "REDACTED") {
		t.Error("nothing says that something was left out")
	}
}

func TestAWrongSecretIsNamedAtTheStart(t *testing.T) {
	f := onSQLite(t)
	_, err := auth.New(t.Context(), auth.Options{DB: f.db, Secrets: mustSecrets(strings.Repeat("another secret ", 3)), Issuer: issuer})
	if !errors.Is(err, auth.ErrWrongSecret) || strings.Contains(err.Error(), "another secret") {
		t.Errorf("got %v", err)
	}
}

// Replicas that start on an empty database must agree on one key.
func TestReplicasThatStartTogetherSignWithOneKey(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		before, _ := f.SigningKey()
		parallel(4, func(int) {
			s, err := auth.New(t.Context(), auth.Options{DB: f.db, Secrets: secrets, Issuer: issuer, Now: f.now})
			if err != nil {
				t.Error(err)
			} else if kid, _ := s.SigningKey(); kid != before {
				t.Errorf("key %s, want %s", kid, before)
			}
		})
	})
}

// The documented way to change the secret ends with the old one removed.
func TestTheOldSecretMayGoWhenItsSessionsHave(t *testing.T) {
	const next = "the next secret of these tests 1234567"
	f := onSQLite(t)
	f.Service = f.service(f.db, mustSecrets(next+",the secret of these tests 1234567890"))
	if err := f.RotateKeys(operator(), true); err != nil {
		t.Fatal(err)
	}
	old := must[[]auth.KeyState](t)(f.Keys(operator()))[0]
	if err := f.RetireKey(operator(), old.ID); err != nil {
		t.Fatal(err)
	}
	f.Service = f.service(f.db, mustSecrets(next))
	f.wantRefused("a token", f.login("ann").AccessToken, "")
}

// T68.
func TestARetiredKeyTakesItsTokensAlong(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := f.replica()
		p := f.login("ann")
		other.wantRefused("before", p.AccessToken, "")
		if err := f.RotateKeys(operator(), true); err != nil {
			t.Fatal(err)
		}
		next := f.wantRefresh("refresh", p.RefreshToken, "")
		other.wantRefused("a token of the new key, in a process that did not hear of it", next.AccessToken, "")
		f.wantRefused("a token of the old key", p.AccessToken, "")
		keys := must[[]auth.KeyState](t)(f.Keys(operator()))
		if len(keys) != 2 || keys[0].State != "previous" || keys[1].State != "current" {
			t.Fatalf("keys %+v", keys)
		}
		if err := f.RetireKey(operator(), keys[0].ID); err != nil {
			t.Fatal(err)
		}
		f.wantRefused("a token of the retired key", p.AccessToken, auth.Malformed)
		f.wantRefused("a token of the current key", next.AccessToken, "")
		if err := f.RetireKey(operator(), keys[1].ID); !is[*auth.ConflictError](err) {
			t.Errorf("the last key was retired: %v", err)
		}
		if err := f.RetireKey(operator(), db.NewID(db.KeyID)); err == nil {
			t.Error("a key that is not there was retired")
		}
	})
}

// T154.
func TestResealedKeysNeedTheFirstSecretOnly(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const old, next = "the secret of these tests 1234567890", "the next secret of these tests 1234567"
		before := f.login("ann")
		f.Service = f.service(f.db, mustSecrets(next+","+old))
		renewed := f.wantRefresh("under both secrets", before.RefreshToken, "")
		if n, err := f.ResealKeys(operator()); n != 1 || err != nil {
			t.Fatalf("resealed %d keys, %v; want 1", n, err)
		}
		if n, err := f.ResealKeys(operator()); n != 0 || err != nil {
			t.Errorf("again: %d, %v", n, err)
		}
		if _, err := f.ResealKeys(t.Context()); !is[*auth.ForbiddenError](err) {
			t.Errorf("without being the operator: %v", err)
		}
		f.Service = f.service(f.db, mustSecrets(next))
		f.wantRefused("an access token of before", before.AccessToken, "")
		f.wantRefresh("a session that was refreshed since", renewed.RefreshToken, "")
		f.wantRefresh("a refresh token of the old secret", before.RefreshToken, auth.Malformed)
	})
}
