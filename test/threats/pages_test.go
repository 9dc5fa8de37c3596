package threats

import (
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/oidctest"
	"github.com/latchkey/latchkey/test/servertest"
)

// The server's own pages and log-in by providers: T290 to T292. What their scripts do is tested in a browser by test/oidc.

func ownPages(s *servertest.Settings) {
	s.Issuer, s.Login.RedirectURIs = "https://id.example.com", nil
}

// A victim who trusts the server's address would be sent to the attacker's page, with the code.
func TestT290_TheCallbackPageSendsNobodyElsewhere(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		_, s := oidctest.Serve(t, url, signup, ownPages)
		for _, uri := range []string{
			"https://id.example.com/account/callback/", "https://id.example.com/account/callback?next=https://evil.test", "https://id.example.com/account/callback#x",
			"https://id.example.com/account/", "https://id.example.com", "http://id.example.com/account/callback", "https://id.example.com.evil.test/account/callback",
			"https://evil.test/account/callback", "https://id.example.com@evil.test/account/callback", "//id.example.com/account/callback", "/account/callback",
			"https://ID.example.com/account/callback", "https://id.example.com/account/../account/callback",
		} {
			s.Ask("", oidctest.StartLogin, "p", "acme", "r", uri).Want("BAD_USER_INPUT redirectUri")
		}
		s.Ask("", oidctest.StartLogin, "p", "acme", "r", "https://id.example.com/account/callback").Want("")
		plain := s.Send(http.MethodGet, "/account/callback", nil, "").Body
		for _, query := range []string{"next=https://evil.test", "return=//evil.test", "redirect_uri=https://evil.test", "error=x&error_description=<script>", "state=x&code=x"} {
			r := s.Send(http.MethodGet, "/account/callback?"+query, nil, "")
			if r.Status != http.StatusOK || r.Header.Get("Location") != "" || r.Header.Get("Refresh") != "" || r.Body != plain {
				t.Errorf("%s: %d, Location %q: %s", query, r.Status, r.Header.Get("Location"), r.Body)
			}
		}
	})
}

// A code in a cache, a log or a Referer header is read by who should not have it.
func TestT291_TheCodeLeavesTheCallbackPageOnlyForTheServer(t *testing.T) {
	t.Parallel()
	_, s := oidctest.Serve(t, dbtest.SQLite(t), signup, ownPages)
	r := s.Send(http.MethodGet, "/account/callback?code=the-code-of-a-victim&state=the-state-of-a-victim", nil, "")
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Frame-Options": "DENY"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	policy := r.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy+";", part+";") {
			t.Errorf("the policy %q lacks %s", policy, part)
		}
	}
	if strings.Contains(s.Logged()+r.Body, "of-a-victim") {
		t.Error("the code or the state is in the log or in the page")
	}
}

// A victim who is sent an attacker's redirect would work in the attacker's account, and save there what is the victim's.
func TestT292_ARedirectOfAnotherBrowserIsOfNoUseOnTheCallbackPage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, signup, ownPages)
		begin := func() oidctest.Flow {
			r := s.Ask("", oidctest.StartLogin, "p", "acme", "r", "https://id.example.com/account/callback").Want("")
			return oidctest.Flow{URL: r.Text("startProviderLogin.url"), State: r.Text("startProviderLogin.state"), Verifier: r.Text("startProviderLogin.verifier")}
		}
		attacker, victim := begin(), begin()
		redirect := op.Authorize(t, attacker.URL, oidctest.Carol())
		s.Ask("", oidctest.CompleteLogin, "i", victim.Input(redirect)).Want(failed)
		if n := op.Requests("/token"); n != 0 {
			t.Errorf("the code was sent %d times", n)
		}
		s.Ask("", oidctest.CompleteLogin, "i", victim.Input(redirect, "state", victim.State)).Want(failed)
		own := begin()
		s.Ask("", oidctest.CompleteLogin, "i", own.Input(op.Authorize(t, own.URL, oidctest.Carol()))).Want("")
	})
}

// Who is about to get an account, with which rights, is what a phishing mail needs to know.
func TestT293_InvitationsAreSeenByThoseWhoMayInvite(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		const list = `{ invitations { totalCount nodes { id email roles } } }`
		admin := p.Login("admin")
		p.Ask(admin, inviteAddress, "e", "ann@example.org", "r", []string{"ADMIN"}).Want("")
		id := p.Ask(admin, list).Want("").Text("invitations.nodes.0.id")
		reads, _ := p.NewAPIToken(admin, "users:read", "audit:read")
		writes, _ := p.NewAPIToken(admin, "users:write")
		for who, token := range map[string]string{"a user": p.Login("alice"), "an API token that reads users": reads} {
			wantAllRefused(t, who, "FORBIDDEN", p.Ask(token, list))
			wantAllRefused(t, who, "FORBIDDEN", p.Ask(token, `mutation($i: ID!) { revokeInvitation(input: {id: $i}) { email } }`, "i", id))
			if r := p.Ask(token, `query($i: ID!) { node(id: $i) { id } }`, "i", id); r.Code() != "BAD_USER_INPUT id" {
				t.Errorf("%s, as a node: %s", who, r.Body)
			}
		}
		wantAllRefused(t, "nobody", noCredentials, p.Ask("", list))
		for who, token := range map[string]string{"an administrator": admin, "an API token that may invite": writes} {
			if r := p.Ask(token, list).Want(""); r.Text("invitations.nodes.0.email") != "ann@example.org" {
				t.Errorf("%s: %s", who, r.Body)
			}
		}
		if r := p.Ask(admin, list); strings.Contains(r.Body, p.box.Next("ann@example.org").Token()) {
			t.Error("the list has the token of the link")
		}
	})
}

// An administrator's session that is stolen, or a mistake, must not move an account to another address unseen. T296.
func TestT296_TheFormerAddressIsToldWhenAnAdministratorChangesIt(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		const move = `mutation($id: ID!, $e: String) { updateUser(input: {id: $id, email: $e}) { user { email } } }`
		const rename = `mutation($id: ID!) { updateUser(input: {id: $id, name: "Alice"}) { user { email } } }`
		admin, id := p.Login("admin"), p.aliceID()
		p.Ask(admin, rename, "id", id).Want("")
		p.Ask(admin, move, "id", id, "e", "ALICE@example.com").Want("") // the same
		p.Quiet()
		if n := len(p.box.All("alice@example.com")); n != 0 {
			t.Errorf("%d mails about no change", n)
		}
		p.Ask(admin, move, "id", id, "e", "alice@new.example").Want("")
		told := p.box.Next("alice@example.com")
		if !strings.Contains(told.Text, "An administrator of Example has changed the e-mail address of the account alice") {
			t.Errorf("got %s", told.Text)
		}
		p.Ask(admin, move, "id", id, "e", nil).Want("")
		p.box.Next("alice@new.example")
		p.Ask(admin, move, "id", id, "e", "alice@third.example").Want("")
		p.Quiet()
		if n := len(p.box.All("")); n != 2 { // there was no address to tell
			t.Errorf("%d mails", n)
		}
	})
}

// An administrator changes an address because its mailbox is stolen, or because its owner has left: a person who reads mail
// there must not get the account back, nor learn the new address. T297.
func TestT297_TheFormerAddressDoesNotUndoAnAdministratorsChange(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		admin, alice, id := p.Login("admin"), p.Login("alice"), p.aliceID()
		p.Ask(alice, askChange, "e", "thief@example.net").Want("")
		p.Ask(alice, verifyAddress, "t", p.box.Next("thief@example.net").Token()).Want("")
		undoOfTheThief := p.box.Next("alice@example.com").Token()
		p.Ask(admin, `mutation($id: ID!) { updateUser(input: {id: $id, email: "alice@new.example"}) { user { email } } }`, "id", id).Want("")
		told := p.box.Next("thief@example.net")
		if told.Link() != "" || told.Token() != "" || strings.Contains(told.Text+told.HTML, "alice@new.example") {
			t.Errorf("got %s", told.Text)
		}
		p.Ask("", undo, "t", undoOfTheThief).Want("INVALID_LINK") // nor do links from before
		p.Ask("", askReset, "e", "thief@example.net").Want("")
		if mail := p.box.Next("thief@example.net"); strings.Contains(mail.Text, "#ll_") {
			t.Errorf("the former address gets %s", mail.Text)
		}
		if r := p.Ask(admin, `query($id: ID!) { user(id: $id) { email } }`, "id", id).Want(""); r.Text("user.email") != "alice@new.example" {
			t.Errorf("%s", r.Body)
		}
	})
}
