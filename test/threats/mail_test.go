package threats

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// What users do with their accounts themselves, by links and codes that are sent to them.

const (
	registerAddress = `mutation($e: String!) { register(input: {email: $e}) { login { accessToken } } }`
	finish          = `mutation($t: String!, $u: String!) { completeRegistration(input: {token: $t, username: $u, password: "a good long password"}) { accessToken user { id email roles } } }`
	askReset        = `mutation($e: String!) { requestPasswordReset(input: {email: $e}) { expiresIn } }`
	setByLink       = `mutation($t: String!, $p: String!) { resetPassword(input: {token: $t, newPassword: $p}) { endedSessions } }`
	askLogin        = `mutation($e: String!) { requestEmailLogin(input: {email: $e}) { expiresIn } }`
	loginByLink     = `mutation($t: String!) { loginByEmail(input: {token: $t}) { accessToken } }`
	loginByCode     = `mutation($e: String!, $c: String!) { loginByEmail(input: {email: $e, code: $c}) { accessToken } }`
	askChange       = `mutation($e: String!) { changeEmail(input: {email: $e}) { expiresIn } }`
	verifyAddress   = `mutation($t: String!) { verifyEmail(input: {token: $t}) { user { email } } }`
	undo            = `mutation($t: String!) { undoEmailChange(input: {token: $t}) { restored } }`
	inviteAddress   = `mutation($e: String!, $r: [Role!]) { inviteUser(input: {email: $e, roles: $r}) { expiresAt } }`
	newPassword     = "a completely new password"
)

// selfService allows everything that users may do with their accounts.
func selfService(s *servertest.Settings) {
	s.Accounts.Registration = "open"
	s.Accounts.SelfService = []string{"password-reset", "change-email", "email-login", "delete", "export"}
	s.Accounts.LinkURL = "https://app.example.com"
	s.MaxAuthAge = time.Hour
}

// A post is a front with an SMTP server.
type post struct {
	*front
	box *servertest.Mailbox
}

func startPost(t testing.TB, databaseURL string, change ...func(*servertest.Settings)) *post {
	t.Helper()
	box := servertest.NewMailbox(t)
	return &post{startFrontWithUsers(t, databaseURL, append([]func(*servertest.Settings){selfService, box.Use}, change...)...), box}
}

// onPosts runs a test on each database.
func onPosts(t *testing.T, test func(t *testing.T, p *post), change ...func(*servertest.Settings)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, startPost(t, url, change...)) })
}

// later moves the clock when all mail is sent: a mail that is being sent for longer than two minutes is sent again.
func (p *post) later(d time.Duration) {
	p.t.Helper()
	p.Quiet()
	p.Clock.Advance(d)
}

// link asks for a mail and returns the token in it.
func (p *post) link(query, email string) string {
	p.t.Helper()
	p.Ask("", query, "e", email).Want("")
	return p.box.Next(email).Token()
}

// An attacker who asks about addresses sees and counts the same for those with an account and those without. T13, T14.
func TestT013_WhetherAnAddressHasAnAccountCannotBeToldByAskingForMail(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		for i, query := range []string{registerAddress, askReset, askLogin} {
			answers, received := map[string]string{}, map[string]int{}
			for _, email := range []string{"alice@example.com", fmt.Sprintf("unknown%d@example.com", i)} {
				before := len(p.box.All(email))
				for n := range 12 {
					r := p.from(fmt.Sprintf("198.51.%d.%d", n, i), "", query, "e", email)
					retry := r.Header.Get("Retry-After")
					if retry != "" { // the seconds left
						retry = "later"
					}
					answers[email] += fmt.Sprint(r.Status, " ", r.Code(), " ", retry, " ", r.Get("requestPasswordReset.expiresIn"), r.Get("requestEmailLogin.expiresIn"), "\n")
				}
				p.Quiet()
				received[email] = len(p.box.All(email)) - before
			}
			if a, b := answers["alice@example.com"], answers[fmt.Sprintf("unknown%d@example.com", i)]; a != b {
				t.Errorf("%s\nknown:\n%s\nunknown:\n%s", query, a, b)
			}
			if a, b := received["alice@example.com"], received[fmt.Sprintf("unknown%d@example.com", i)]; a != b || a == 0 {
				t.Errorf("%s: %d mails to a known address, %d to an unknown one", query, a, b)
			}
			p.later(25 * time.Hour)
		}
	})
}

// Nor by the time: a request for mail looks nothing up. T11.
func TestT013_TheTimeOfARequestForMailDoesNotTellWhetherThereIsAnAccount(t *testing.T) {
	p := startPost(t, dbtest.SQLite(t))
	shortest := map[string]time.Duration{}
	for n := range 40 {
		for _, email := range []string{"alice@example.com", "unknown@example.com"} {
			p.later(25 * time.Hour)
			start := time.Now()
			p.from(fmt.Sprintf("198.51.100.%d", n), "", askReset, "e", email).Want("")
			if took := time.Since(start); shortest[email] == 0 || took < shortest[email] {
				shortest[email] = took
			}
		}
	}
	known, unknown := shortest["alice@example.com"], shortest["unknown@example.com"]
	if max(known, unknown) > 2*min(known, unknown)+2*time.Millisecond {
		t.Errorf("the shortest times: %v", shortest)
	}
}

// An address must not be flooded, from however many addresses the requests come, nor a client have mail sent to very many.
// T14, T199, T200.
func TestT014_AFloodOfRequestsSendsFewMails(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		for n := range 40 {
			p.from(fmt.Sprintf("203.0.113.%d", n), "", []string{askReset, registerAddress, askLogin}[n%3], "e", "alice@example.com")
		}
		for n := range 200 {
			p.from("203.0.113.250", "", registerAddress, "e", fmt.Sprintf("someone%d@example.org", n))
		}
		p.Quiet()
		if n := len(p.box.All("alice@example.com")); n == 0 || n > 15 {
			t.Errorf("alice got %d mails", n)
		}
		if n := len(p.box.All("")) - len(p.box.All("alice@example.com")); n == 0 || n > 30 {
			t.Errorf("one client had %d mails sent", n)
		}
		p.Ask("", askReset, "e", "bob@example.com").Want("") // others are served
	})
}

// A stolen link must be of no use after its own use, a change of the password, another request's use, or its time. T15, T202.
func TestT015_AResetLinkWorksOnceAndNotAfterAChange(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		used, other := p.link(askReset, "alice@example.com"), p.link(askReset, "alice@example.com")
		p.Ask("", setByLink, "t", used, "p", newPassword).Want("")
		for _, token := range []string{used, other} {
			p.Ask("", setByLink, "t", token, "p", "yet another password").Want("INVALID_LINK")
		}
		alice, _, _ := p.Session("alice", newPassword)
		p.later(25 * time.Hour)
		p.box.Next("alice@example.com") // of the change
		changes := map[string]func(){
			"changePassword": func() {
				alice, _, _ = p.Session("alice", newPassword)
				p.Ask(alice, `mutation($a: String!, $b: String!) { changePassword(input: {currentPassword: $a, newPassword: $b}) { endedSessions } }`, "a", newPassword, "b", newPassword+"!").Want("")
				p.box.Next("alice@example.com")
			},
			"an hour": func() { p.Clock.Advance(31 * time.Minute) },
		}
		for name, change := range changes {
			token := p.link(askReset, "alice@example.com")
			change()
			if code := p.Ask("", setByLink, "t", token, "p", "yet another password").Code(); code != "INVALID_LINK" {
				t.Errorf("after %s: %q", name, code)
			}
			p.later(25 * time.Hour)
		}
		admin, _, _ := p.Session("admin", servertest.AdminPassword)
		for name, change := range map[string]string{
			"disabled":    `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`,
			"new address": `mutation($id: ID!) { updateUser(input: {id: $id, email: "alice@other.example"}) { user { id } } }`,
			"deleted":     `mutation($id: ID!) { deleteUser(input: {id: $id}) { deletedUserId } }`,
		} {
			email, name := name[:3]+"@example.org", name
			created := p.Ask(admin, `mutation($n: String!, $e: String!) { createUser(input: {username: $n, email: $e, password: "a good long password"}) { user { id } } }`, "n", name[:3], "e", email).Want("")
			token := p.link(askReset, email)
			p.Ask(admin, change, "id", created.Text("createUser.user.id")).Want("")
			if code := p.Ask("", setByLink, "t", token, "p", newPassword).Code(); code != "INVALID_LINK" {
				t.Errorf("%s: %q", name, code)
			}
		}
	})
}

// A host name of the attacker's must not get into a link, and the token must not get into Referer headers or logs of servers:
// it is in the fragment, which browsers do not send. T15, T219.
func TestT015_LinksGoToTheConfiguredPageAndKeepTheTokenInTheFragment(t *testing.T) {
	t.Parallel()
	p := startPost(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.Guard.Hosts = []string{"*"} })
	header := http.Header{"Content-Type": {"application/json"}, "X-Forwarded-Host": {"evil.test"}, "Origin": {"https://app.example.com"}, "Referer": {"https://evil.test/"}}
	p.Send(http.MethodPost, "/graphql", header, `{"query":"mutation { requestPasswordReset(input: {email: \"alice@example.com\"}) { expiresIn } }"}`)
	mail := p.box.Next("alice@example.com")
	before, fragment, _ := strings.Cut(mail.Link(), "#")
	if before != "https://app.example.com/reset-password" || !strings.HasPrefix(fragment, "ll_") || strings.Contains(mail.Text+mail.HTML, "evil.test") {
		t.Errorf("link: %s", mail.Link())
	}
}

// Of two that use a link at the same time, at different servers, one wins. T201.
func TestT201_TwoResetsByOneLinkAtOnceSetOnePassword(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := startPost(t, url)
		servers := []*servertest.Server{p.Server, p.Replica()}
		for range 5 {
			token := p.link(askReset, "alice@example.com")
			codes := make([]string, 4)
			var all sync.WaitGroup
			for i := range codes {
				all.Go(func() {
					codes[i] = servers[i%2].Ask("", setByLink, "t", token, "p", fmt.Sprintf("the new password %d", i)).Code()
				})
			}
			all.Wait()
			won := 0
			for i, code := range codes {
				if login := p.Ask("", servertest.LoginMutation, "u", "alice", "p", fmt.Sprintf("the new password %d", i)).Code(); (code == "") != (login == "") {
					t.Errorf("reset %d: %q, and the login by it: %q", i, code, login)
				}
				if code == "" {
					won++
				} else if code != "INVALID_LINK" {
					t.Errorf("code %q", code)
				}
			}
			if won != 1 {
				t.Errorf("%d of four resets by one link succeeded: %q", won, codes)
			}
			p.box.Next("alice@example.com")
			p.later(25 * time.Hour)
		}
	})
}

// A link for one thing must not do another, nor log in as a token. At its end the log and the database are
// searched for tokens. T203, T205, T217.
func TestT203_ALinkDoesOnlyWhatItIsFor(t *testing.T) {
	t.Parallel()
	p := startPost(t, dbtest.SQLite(t))
	alice, _, _ := p.Session("alice", servertest.AlicePassword)
	admin, _, _ := p.Session("admin", servertest.AdminPassword)
	p.Ask(alice, askChange, "e", "alice@new.example").Want("")
	p.Ask(admin, inviteAddress, "e", "ann@example.org").Want("")
	tokens := map[string]string{
		"register": p.link(registerAddress, "new@example.org"), "reset": p.link(askReset, "alice@example.com"), "login": p.link(askLogin, "bob@example.com"),
		"verify": p.box.Next("alice@new.example").Token(), "invitation": p.box.Next("ann@example.org").Token(),
	}
	uses := map[string]func(token string) string{
		"register": func(token string) string { return p.Ask("", finish, "t", token, "u", "mallory").Code() },
		"reset":    func(token string) string { return p.Ask("", setByLink, "t", token, "p", newPassword).Code() },
		"login":    func(token string) string { return p.Ask("", loginByLink, "t", token).Code() },
		"verify":   func(token string) string { return p.Ask(alice, verifyAddress, "t", token).Code() },
		"undo":     func(token string) string { return p.Ask("", undo, "t", token).Code() },
		"refresh":  func(token string) string { return p.Refresh(token).Code() },
		"bearer":   func(token string) string { return p.Ask(token, `{ me { id } }`).Code() },
	}
	for kind, token := range tokens {
		for use, try := range uses {
			if code := try(token); use != kind && !(kind == "invitation" && use == "register") && code != "INVALID_LINK" && !strings.HasPrefix(code, "UNAUTHENTICATED ") { // a reset has ended alice's session
				t.Errorf("a link for %s in %s: %q", kind, use, code)
			}
			if use == kind { // used up: another for the next
				break
			}
		}
	}
}

// A link cannot be made from its ID, which the database holds, or by changing another. T204.
func TestT204_ALinkCannotBeForged(t *testing.T) {
	t.Parallel()
	p := startPost(t, dbtest.SQLite(t))
	token := p.link(askReset, "alice@example.com")
	for i := range token {
		changed := []byte(token)
		changed[i] = map[bool]byte{true: '1', false: '0'}[token[i] == '0']
		if code := p.Ask("", setByLink, "t", string(changed), "p", newPassword).Code(); code != "INVALID_LINK" {
			t.Errorf("with another character at %d: %q", i, code)
		}
	}
	for _, forged := range []string{"", token + "x", strings.SplitN(token, ".", 2)[0], strings.ToUpper(token), token[:len(token)-1] + "=", strings.Repeat("l", 5000)} {
		p.Ask("", setByLink, "t", forged, "p", newPassword).Want("INVALID_LINK")
	}
	p.Ask("", setByLink, "t", token, "p", newPassword).Want("") // as it is
}

// An attacker who registers an address first must not own what its owner does with it later. T206, T207.
func TestT206_RegisteringAnAddressOfAnotherPersonTakesNothing(t *testing.T) {
	t.Parallel()
	const atOnce = `mutation($u: String!) { register(input: {email: "victim@example.org", username: $u, password: "the attacker's password"}) { login { accessToken } } }`
	onPosts(t, func(t *testing.T, p *post) {
		mallory := p.Ask("", atOnce, "u", "mallory").Want("").Text("register.login.accessToken")
		attackers := p.box.Next("victim@example.org").Token()
		if r := p.Ask(mallory, `{ me { email } }`).Want(""); r.Get("me.email") != nil {
			t.Errorf("an address that was not verified: %s", r.Body)
		}
		p.Ask("", askReset, "e", "victim@example.org").Want("")
		if mail := p.box.Next("victim@example.org"); mail.Link() != "" {
			t.Errorf("a reset for the attacker's account: %s", mail.Text)
		}
		victim := p.Ask("", atOnce, "u", "victim").Want("").Text("register.login.accessToken")
		p.Ask(victim, verifyAddress, "t", attackers).Want("INVALID_LINK") // a click on the attacker's link, while logged in
		p.Ask("", verifyAddress, "t", attackers).Want("UNAUTHENTICATED MISSING")
		p.Ask(victim, verifyAddress, "t", p.box.Next("victim@example.org").Token()).Want("")
		p.Ask(mallory, verifyAddress, "t", attackers).Want("CONFLICT email")
		p.Ask("", servertest.LoginMutation, "u", "victim@example.org", "p", "the attacker's password").Want("") // the victim's own, in this test
	}, func(s *servertest.Settings) { s.Accounts.VerifyEmail = "after" })
}

// A thief of an access token must not move the account to another address, take its data or delete it. T208, T218.
func TestT208_AStolenAccessTokenChangesNoAddressAndTakesNoData(t *testing.T) {
	t.Parallel()
	p := startPost(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.MaxAuthAge = time.Minute })
	stolen, _, _ := p.Session("alice", servertest.AlicePassword)
	p.later(2 * time.Minute)
	p.Ask(stolen, askChange, "e", "thief@example.org").Want("REAUTHENTICATION_REQUIRED")
	p.Ask(stolen, `mutation { exportAccount { data } }`).Want("REAUTHENTICATION_REQUIRED")
	p.Ask(stolen, `mutation { deleteAccount { deletedUserId } }`).Want("REAUTHENTICATION_REQUIRED")
}

// Where the password is known to the thief too, the owner of the old address gets the account back, and the thief is out. T208.
func TestT208_TheOwnerOfTheOldAddressTakesTheAccountBack(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		thief, refresh, _ := p.Session("alice", servertest.AlicePassword)
		apiToken, _ := p.NewAPIToken(thief)
		p.Ask(thief, askChange, "e", "thief@example.org").Want("")
		p.Ask(thief, verifyAddress, "t", p.box.Next("thief@example.org").Token()).Want("")
		first := p.box.Next("alice@example.com").Token()
		p.Clock.Advance(time.Second)
		p.Ask(thief, askChange, "e", "thief2@example.org").Want("") // a second change must not make the first irrevocable
		p.Ask(thief, verifyAddress, "t", p.box.Next("thief2@example.org").Token()).Want("")
		totp := p.Ask(thief, `mutation { startTotp { secret } }`).Want("").Text("startTotp.secret")
		p.Ask(thief, `mutation($c: String!) { confirmTotp(input: {code: $c}) { factor { id } } }`, "c", servertest.TOTP(t, totp, p.Clock.Now())).Want("")
		id := p.Ask(thief, `{ me { id } }`).Text("me.id")
		identity := db.NewID(db.IdentityID)
		now := db.TimeOf(p.Clock.Now())
		err := p.DB.CreateIdentity(t.Context(), &db.Identity{ID: identity, UserID: id, Key: identity, Provider: "x", Issuer: "https://x.test", Subject: "thief", CreatedAt: now, LastUsedAt: now})
		if err != nil {
			t.Fatal(err)
		}
		thiefs := p.link(askReset, "thief2@example.org")
		p.Ask("", undo, "t", p.box.Next("thief@example.org").Token()).Want("") // the thief's own way back must not void the owner's
		thiefsReset := p.box.Next("thief@example.org").Token()
		p.Ask("", undo, "t", first).Want("")
		p.Ask("", setByLink, "t", thiefsReset, "p", newPassword).Want("INVALID_LINK")
		p.Ask(thief, `{ me { id } }`).Want("UNAUTHENTICATED REVOKED")
		p.Refresh(refresh).Want("UNAUTHENTICATED REVOKED")
		p.Ask(apiToken, `{ me { id } }`).Want("UNAUTHENTICATED REVOKED")
		p.Ask("", servertest.LoginMutation, "u", "alice", "p", servertest.AlicePassword).Want("INVALID_CREDENTIALS")
		p.Ask("", setByLink, "t", thiefs, "p", newPassword).Want("INVALID_LINK")
		if left, err := p.DB.Identities(t.Context(), id); err != nil || len(left) > 0 {
			t.Errorf("the thief's account at a provider is linked: %v", err)
		}
		p.Ask("", setByLink, "t", p.box.Next("alice@example.com").Token(), "p", newPassword).Want("")
		p.Session("alice@example.com", newPassword) // without the thief's second factor
	})
}

// An address receives links that log in: an API token, or the thief of an administrator's session, must not set it. T208.
func TestT208_AnAPITokenMovesNoAccountToAnotherAddress(t *testing.T) {
	t.Parallel()
	const move = `mutation($id: ID!) { updateUser(input: {id: $id, email: "thief@example.org"}) { user { id } } }`
	p := startPost(t, dbtest.SQLite(t))
	admin, _, id := p.Session("admin", servertest.AdminPassword)
	_, _, alice := p.Session("alice", servertest.AlicePassword)
	apiToken, _ := p.NewAPIToken(admin, "users:write")
	p.Ask(apiToken, move, "id", alice).Want("FORBIDDEN")
	p.Ask(admin, move, "id", id).Want("FORBIDDEN")
	p.Ask(admin, move, "id", alice).Want("")
}

// User names must not be enumerable without limit, nor passwords be hashed without one, by clients that register. T206.
func TestT206_RegisteringInALoopIsSlowedDown(t *testing.T) {
	t.Parallel()
	const atOnce = `mutation { register(input: {email: "a@example.org", username: "alice", password: "a good long password"}) { login { expiresAt } } }`
	onPosts(t, func(t *testing.T, p *post) {
		taken := 0
		for range 40 {
			if code := p.from("203.0.113.9", "", atOnce).Code(); code == "CONFLICT username" {
				taken++
			} else if code != "RATE_LIMITED" {
				t.Fatalf("code %q", code)
			}
		}
		if taken == 0 || taken > 20 {
			t.Errorf("%d names were tried", taken)
		}
	}, func(s *servertest.Settings) { s.Accounts.VerifyEmail = "after" })
}

// An invitation must give no more than who sent it may give, when it is used. T209.
func TestT209_AnInvitationGivesOnlyWhatItsSenderStillMayGive(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		admin, _, _ := p.Session("admin", servertest.AdminPassword)
		for name, change := range map[string]string{
			"demoted":  `mutation($id: ID!) { updateUser(input: {id: $id, roles: [USER]}) { user { id } } }`,
			"disabled": `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`,
			"deleted":  `mutation($id: ID!) { deleteUser(input: {id: $id}) { deletedUserId } }`,
		} {
			second := p.Ask(admin, `mutation($n: String!) { createUser(input: {username: $n, password: "a good long password", roles: [ADMIN]}) { user { id } } }`, "n", name).Want("")
			sender, _, _ := p.Session(name, "a good long password")
			p.Ask(sender, inviteAddress, "e", name+"@example.org", "r", []string{"ADMIN"}).Want("")
			p.Ask(admin, change, "id", second.Text("createUser.user.id")).Want("")
			p.Ask("", finish, "t", p.box.Next(name+"@example.org").Token(), "u", "friend").Want("INVALID_LINK")
		}
		apiToken, _ := p.NewAPIToken(admin, "users:write")
		p.Ask(apiToken, inviteAddress, "e", "ann@example.org", "r", []string{"ADMIN"}).Want("FORBIDDEN")
		alice, _, _ := p.Session("alice", servertest.AlicePassword)
		p.Ask(alice, inviteAddress, "e", "ann@example.org").Want("FORBIDDEN")
	})
}

// Codes are short: guessing must be hopeless, for one client and for many. T210.
func TestT210_GuessingCodesIsSlowedDown(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		p.Ask("", askLogin, "e", "alice@example.com").Want("")
		p.box.Next("alice@example.com")
		tried := 0
		for n := range 200 {
			switch r := p.from(fmt.Sprintf("203.0.%d.%d", n/100, n%100), "", loginByCode, "e", "alice@example.com", "c", "BCDFGHJK"); r.Code() {
			case "INVALID_LINK":
				tried++
			case "RATE_LIMITED":
			default:
				t.Fatalf("a wrong code: %s", r.Body)
			}
		}
		if tried == 0 || tried > 90 {
			t.Errorf("%d codes were tried", tried)
		}
		tried = 0
		for range 40 {
			if p.from("198.51.100.1", "", loginByCode, "e", "bob@example.com", "c", "BCDFGHJK").Code() == "INVALID_LINK" {
				tried++
			}
		}
		if tried == 0 || tried > 10 {
			t.Errorf("one client tried %d codes", tried)
		}
		p.Ask("", loginByLink, "t", p.link(askLogin, "alice@example.com")).Want("") // the link is not slowed down by guesses at codes
	})
}

// A disabled user, or one who is disabled meanwhile, must not log in by mail, and is told nothing. T211.
func TestT211_ADisabledUserDoesNotLogInByMail(t *testing.T) {
	t.Parallel()
	p := startPost(t, dbtest.SQLite(t))
	token := p.link(askLogin, "alice@example.com")
	admin, _, _ := p.Session("admin", servertest.AdminPassword)
	_, _, alice := p.Session("alice", servertest.AlicePassword)
	p.Ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, "id", alice).Want("")
	p.Ask("", loginByLink, "t", token).Want("INVALID_LINK")
	p.Ask("", askLogin, "e", "alice@example.com").Want("")
	p.Quiet()
	if n := len(p.box.All("alice@example.com")); n != 1 {
		t.Errorf("a disabled user got %d mails", n)
	}
}

// What clients send must not become another recipient, header, link or markup of a mail. T212, T220.
func TestT212_NothingThatClientsSendIsMarkupOrAHeaderOfAMail(t *testing.T) {
	t.Parallel()
	p := startPost(t, dbtest.SQLite(t))
	for _, email := range []string{"a@b.test\r\nBcc: c@d.test", "a@b.test, c@d.test", "<a@b.test>", "Ann <a@b.test>", "a@b.test\x00", "a@[127.0.0.1]\n", "ä@b.test", `"a b"@b.test`, "@", ""} {
		if code := p.Ask("", registerAddress, "e", email).Code(); code != "BAD_USER_INPUT email" {
			t.Errorf("%q: %q", email, code)
		}
	}
	const inLocale = `mutation($l: String!) { register(input: {email: "ann@example.org", locale: $l}) { login { accessToken } } }`
	for _, locale := range []string{"../../etc/passwd", "de\r\nBcc: c@d.test", strings.Repeat("a", 36), "de_DE", "<b>"} {
		p.Ask("", inLocale, "l", locale).Want("BAD_USER_INPUT locale")
	}
	for _, locale := range []string{"xx", "-", "zz-Latn-ZZ-x-y", "i", ""} { // unknown or meaningless: English
		p.later(25 * time.Hour)
		p.Ask("", inLocale, "l", locale).Want("")
		if mail := p.box.Next("ann@example.org"); mail.Subject != "Finish your registration at Example" {
			t.Errorf("%q: %q", locale, mail.Subject)
		}
	}
	p.later(25 * time.Hour)
	token := p.link(registerAddress, "ann@example.org")
	const named = `mutation($t: String!, $n: String!) { completeRegistration(input: {token: $t, username: "ann", password: "a good long password", name: $n}) { accessToken } }`
	p.Ask("", named, "t", token, "n", "<a href=https://evil.test>win</a>").Want("")
	p.Ask("", askReset, "e", "ann@example.org").Want("")
	if mail := p.box.Next("ann@example.org"); strings.Contains(mail.Text+mail.HTML, "evil.test") || mail.To != "ann@example.org" || mail.From != "no-reply@example.com" {
		t.Errorf("mail from %s to %s: %s", mail.From, mail.To, mail.Text)
	}
}

// Deleting an account must leave no way in, whatever happens at the same time. T214.
func TestT214_NothingThatBeginsWhileAnAccountIsDeletedOutlivesIt(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		for round := range 4 {
			email := fmt.Sprintf("ann%d@example.org", round)
			r := p.Ask("", finish, "t", p.link(registerAddress, email), "u", fmt.Sprint("ann", round)).Want("")
			ann := r.Text("completeRegistration.accessToken")
			reset := p.link(askReset, email)
			var made sync.Map
			var all sync.WaitGroup
			for _, query := range []string{
				`mutation { createApiToken(input: {name: "x"}) { token } }`,
				`mutation { login(input: {username: "` + email + `", password: "a good long password"}) { token: accessToken } }`,
				`mutation { deleteAccount { deletedUserId } }`,
			} {
				all.Go(func() {
					r := p.Ask(ann, query)
					for _, path := range []string{"createApiToken.token", "login.token"} {
						if token, ok := r.Get(path).(string); ok {
							made.Store(token, true)
						}
					}
				})
			}
			all.Wait()
			made.Range(func(token, _ any) bool {
				if code := p.Ask(token.(string), `{ me { id } }`).Code(); !strings.HasPrefix(code, "UNAUTHENTICATED") {
					t.Errorf("a token that was made meanwhile: %q", code)
				}
				return true
			})
			p.Ask("", setByLink, "t", reset, "p", newPassword).Want("INVALID_LINK")
			if _, err := p.DB.UserByEmail(t.Context(), email); err == nil {
				t.Error("the user is there")
			}
			p.later(25 * time.Hour)
		}
	})
}

// Mail that was promised must not be lost when the process dies before it is sent. T215.
func TestT215_AMailThatWasPromisedIsSentByTheNextProcess(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := startPost(t, url, func(s *servertest.Settings) { s.Accounts.SMTPURL = "smtp://127.0.0.1:1" }) // no one listens
		p.Ask("", askReset, "e", "alice@example.com").Want("")
		tried := func() bool {
			page, err := p.DB.Mails(t.Context(), false, db.Page{Limit: 1})
			return err == nil && len(page.Rows) == 1 && page.Rows[0].Error != ""
		}
		for deadline := time.Now().Add(20 * time.Second); !tried() && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		m := &db.Mail{ID: db.NewID(db.MailID), Kind: "register", Recipient: "left@example.org", CreatedAt: db.TimeOf(p.Clock.Now()), ExpiresAt: db.TimeOf(p.Clock.Now().Add(time.Hour))}
		if err := p.DB.CreateMail(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		_, err := p.DB.ClaimMail(t.Context(), db.TimeOf(p.Clock.Now()), 2*time.Minute) // and the process dies
		if err != nil && !errors.Is(err, db.ErrNotFound) {                             // or the server has claimed it already, and fails to send it
			t.Fatal(err)
		}
		box := servertest.NewMailbox(t)
		next := startFront(t, url, selfService, box.Use)
		next.Clock.Advance(3 * time.Minute)
		next.Ask("", askReset, "e", "bob@example.com").Want("")
		box.Next("left@example.org")
		box.Next("alice@example.com")
	})
}

// An address must not be given to an account by a domain that only looks allowed. T213.
func TestT213_OnlyTheVeryDomainsMayRegister(t *testing.T) {
	t.Parallel()
	p := startPost(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.Accounts.RegistrationDomains = []string{"example.org"} })
	for _, email := range []string{"a@sub.example.org", "a@example.org.evil.test", "a@evilexample.org", `"a@example.org"@evil.test`, "a@example.org@evil.test", "a%example.org@evil.test", "a@еxample.org"} {
		if code := p.Ask("", registerAddress, "e", email).Code(); code != "BAD_USER_INPUT email" {
			t.Errorf("%s: %q", email, code)
		}
	}
	p.Ask("", finish, "t", p.link(registerAddress, "a@example.org"), "u", "ann").Want("")
}
