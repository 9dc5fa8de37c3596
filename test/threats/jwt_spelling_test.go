package threats

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
	"github.com/latchkey/latchkey/verify"
)

// otherSignature is the token with the other signature that is valid for it: with (r, s) also (r, n-s) is. Anyone who
// has the token can compute it.
func otherSignature(t *testing.T, token string) string {
	t.Helper()
	dot := strings.LastIndex(token, ".") + 1
	signature, err := base64.RawURLEncoding.DecodeString(token[dot:])
	if err != nil || len(signature) != 64 {
		t.Fatal(err, len(signature))
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return token[:dot] + base64.RawURLEncoding.EncodeToString(signature)
}

// ECDSA gives each signature a second spelling, which every library accepts. Nothing may hang on the text of a token:
// both are the same session, and both are revoked with it. T66.
func TestT066_BothSpellingsOfASignatureAreOneSession(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		service, _ := f.NewAPIToken(admin, "tokens:introspect")
		token, _, _ := f.Session("alice", servertest.AlicePassword)
		spellings := []string{token, otherSignature(t, token)}
		v, err := verify.New(verify.Config{Issuer: "http://latchkey.test", BaseURL: f.URL, APIToken: service, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); v.Run(ctx) }()
		t.Cleanup(func() { stop(); <-done })
		for _, spelling := range spellings {
			f.me(spelling).Want("")
			if viewer, err := v.Verify(ctx, spelling); err != nil || viewer.SessionID == "" {
				t.Errorf("at a service: %v", err)
			}
			if !f.active(service, spelling) {
				t.Error("not active")
			}
		}
		f.Ask(spellings[1], `mutation { logout { endedSessions } }`).Want("")
		for i, spelling := range spellings {
			f.me(spelling).Want("UNAUTHENTICATED REVOKED")
			if f.active(service, spelling) {
				t.Errorf("spelling %d is active after the logout", i)
			}
			for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if _, err := v.Verify(ctx, spelling); err != nil {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("spelling %d is valid at a service after the logout", i)
				}
			}
		}
	})
}

// A client that does what the table of docs/errors.md says stays logged in as long as its session lives. When a key is
// retired its tokens are MALFORMED: clients that took that for a reason to log in would all be logged out.
func TestAClientThatFollowsTheTableOfReasonsStaysLoggedIn(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	table := read(t, "../../docs/errors.md")
	operator := auth.WithViewer(context.Background(), auth.Operator())
	for what, spoil := range map[string]func(token, id string) string{
		"a retired key": func(token, _ string) string {
			if err := f.Auth.RotateKeys(operator, true); err != nil {
				t.Fatal(err)
			}
			if err := f.Auth.RetireKey(operator, headerOf(t, token)["kid"].(string)); err != nil {
				t.Fatal(err)
			}
			return token
		},
		"a role": func(token, id string) string {
			admin, _, _ := f.Session("admin", servertest.AdminPassword)
			f.Ask(admin, `mutation($id: ID!) { updateUser(input: {id: $id, roles: [ADMIN]}) { user { id } } }`, "id", id).Want("")
			return token
		},
		"a damaged token": func(token, _ string) string { return token + "x" },
	} {
		token, refresh, id := f.Session("alice", servertest.AlicePassword)
		code, reason, _ := strings.Cut(f.me(spoil(token, id)).Code(), " ")
		_, row, found := strings.Cut(table, "\n| `"+reason+"` |")
		row, _, _ = strings.Cut(row, "\n")
		if code != "UNAUTHENTICATED" || !found || !strings.Contains(row, "refresh once") {
			t.Errorf("%s: %s %s, of which the table says %q", what, code, reason, row)
		}
		f.me(f.Refresh(refresh).Want("").Text("refresh.accessToken")).Want("")
	}
}
