package server

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Other services decide by these claims whether to ask a user again.
func TestTokensAndIntrospectionSayHowTheUserWasAuthenticated(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		s := servertest.Latchkey(t, databaseURL)
		admin, _, _ := s.Session("admin", servertest.AdminPassword)
		service, _ := s.NewAPIToken(admin, "tokens:introspect")
		introspect := func(token string) map[string]any {
			t.Helper()
			header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Bearer " + service}}
			var said map[string]any
			if err := json.Unmarshal([]byte(s.Send(http.MethodPost, "/oauth/introspect", header, url.Values{"token": {token}}.Encode()).Body), &said); err != nil {
				t.Fatal(err)
			}
			return said
		}
		type period struct{ from, to time.Time }
		want := func(what string, said map[string]any, proved period, amr, acr string) {
			t.Helper()
			got, err := json.Marshal(said["amr"])
			at, _ := said["auth_time"].(float64)
			if err != nil || at < float64(proved.from.Unix()) || at > float64(proved.to.Unix()) || string(got) != amr || said["acr"] != acr {
				t.Errorf("%s: %v, want a proof from %v", what, said, proved)
			}
		}
		login := period{from: s.Clock.Now()}
		alice, refresh, _ := s.Session("alice", servertest.AlicePassword)
		login.to = s.Clock.Now()
		want("the token", payload(t, alice), login, `["pwd"]`, "aal1")
		want("introspection", introspect(alice), login, `["pwd"]`, "aal1")
		want("of the refresh token", introspect(refresh), login, `["pwd"]`, "aal1")
		if said := introspect(service); said["active"] != true || said["acr"] != nil || said["auth_time"] != nil || said["amr"] != nil {
			t.Errorf("of an API token: %v", said)
		}
		secret := s.Ask(alice, `mutation { startTotp { secret } }`).Want("").Text("startTotp.secret")
		s.Ask(alice, `mutation($c: String!) { confirmTotp(input: {code: $c}) { factor { id } } }`, "c", servertest.TOTP(t, secret, s.Clock.Now())).Want("")
		want("introspection after enrolling", introspect(alice), login, `["pwd","otp","mfa"]`, "aal2")
		s.Clock.Advance(5 * time.Minute)
		again := period{from: s.Clock.Now()}
		s.Ask(alice, `mutation($p: String!, $c: String) { reauthenticate(input: {password: $p, code: $c}) { authenticatedAt } }`,
			"p", servertest.AlicePassword, "c", servertest.TOTP(t, secret, again.from)).Want("")
		again.to = s.Clock.Now()
		want("the refreshed token", payload(t, s.Refresh(refresh).Want("").Text("refresh.accessToken")), again, `["pwd","otp","mfa"]`, "aal2")
	})
}

// payload reads an access token without verifying it.
func payload(t *testing.T, token string) (claims map[string]any) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(b, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}
