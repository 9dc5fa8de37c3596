package verify

import (
	"testing"
	"time"
)

// A service that guards a payment must not take an API token, or a session whose user was asked an hour ago, for a recent
// login.
func TestAServiceSeesHowAndWhenTheUserWasAuthenticated(t *testing.T) {
	p := startPeer(t)
	v := p.verifier(Config{})
	now := time.Now().Unix()
	for what, c := range map[string]struct {
		claims      change
		recent, mfa bool
	}{
		"a token of an earlier version": {nil, false, false},
		"a password just now":           {change{"auth_time": now, "amr": []string{"pwd"}, "acr": "aal1"}, true, false},
		"two factors an hour ago":       {change{"auth_time": now - 3600, "amr": []string{"pwd", "otp", "mfa"}, "acr": "aal2"}, false, true},
	} {
		viewer, err := v.Verify(t.Context(), p.token(nil, c.claims))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if viewer.AuthenticatedWithin(10*time.Minute) != c.recent || viewer.MFA() != c.mfa {
			t.Errorf("%s: %+v", what, viewer)
		}
		if class, _ := c.claims["acr"].(string); viewer.Class != class {
			t.Errorf("%s: class %q", what, viewer.Class)
		}
	}
	if (&Viewer{}).AuthenticatedWithin(time.Hour) || (&Viewer{}).MFA() {
		t.Error("an API token counts as a recent login")
	}
}

// Of a user whose role needs a second factor, sessions without one have no scopes. Their tokens are not revoked by every
// change of the user.
func TestTokensWithoutScopesStayWhereScopesAreWithheld(t *testing.T) {
	f := newFeed(nil, nil, time.Now, func(func(string) bool) {})
	if _, err := f.apply(event{"reset", `{"users":[{"sub":"` + user + `","scope":"users:read","until":4000000000,"withheld":true},{"sub":"user_other","scope":"users:read","until":4000000000}]}`}, false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		user, scope string
		want        status
	}{{user, "", valid}, {user, "users:read", valid}, {user, "users:write", revoked}, {"user_other", "", revoked}} {
		token := &verified{scope: c.scope, viewer: Viewer{UserID: c.user, Expires: time.Now().Add(time.Minute)}}
		if got := f.status(token); got != c.want {
			t.Errorf("%s with %q: %v, want %v", c.user, c.scope, got, c.want)
		}
	}
}
