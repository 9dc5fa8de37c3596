package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// everything allows what users may do with their accounts.
func everything(s *servertest.Settings) {
	s.Accounts.Registration = "open"
	s.Accounts.SelfService = []string{"password-reset", "change-email", "email-login", "delete", "export"}
	s.Accounts.LinkURL = "https://app.example.com/account"
}

// withMail runs a test on each database, with an SMTP server.
func withMail(t *testing.T, test func(t *testing.T, s *servertest.Server, box *servertest.Mailbox), change ...func(*servertest.Settings)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		box := servertest.NewMailbox(t)
		test(t, servertest.Latchkey(t, url, append([]func(*servertest.Settings){everything, box.Use}, change...)...), box)
	})
}

const (
	registerMutation = `mutation($e: String!, $l: String) { register(input: {email: $e, locale: $l}) { login { accessToken } } }`
	complete         = `mutation($t: String!, $u: String!, $p: String!) { completeRegistration(input: {token: $t, username: $u, password: $p}) {
		accessToken refreshToken user { id username email emailVerifiedAt roles locale } } }`
	requestReset = `mutation($e: String!) { requestPasswordReset(input: {email: $e}) { expiresIn } }`
	reset        = `mutation($t: String!, $p: String!, $r: Boolean! = false) { resetPassword(input: {token: $t, newPassword: $p, revokeApiTokens: $r}) {
		endedSessions revokedApiTokens remainingApiTokens } }`
	changeEmail = `mutation($e: String!) { changeEmail(input: {email: $e}) { expiresIn } }`
	verifyEmail = `mutation($t: String!) { verifyEmail(input: {token: $t}) { user { email emailVerifiedAt } } }`
	undoEmail   = `mutation($t: String!) { undoEmailChange(input: {token: $t}) { restored } }`
	askToLogin  = `mutation($e: String!) { requestEmailLogin(input: {email: $e}) { expiresIn } }`
	byLink      = `mutation($t: String!) { loginByEmail(input: {token: $t}) { accessToken user { username emailVerifiedAt } } }`
	byCode      = `mutation($e: String!, $c: String!) { loginByEmail(input: {email: $e, code: $c}) { accessToken user { username } } }`
	invite      = `mutation($e: String!, $r: [Role!]) { inviteUser(input: {email: $e, roles: $r}) { expiresAt } }`
	uninvite    = `mutation($e: String!) { revokeInvitation(input: {email: $e}) { email } }`
)

func TestAPersonCanRegisterWithAnAddressAndLogIn(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		s.Ask("", registerMutation, "e", " Ann@Example.org", "l", "de-AT").Want("")
		mail := box.Next("ann@example.org")
		if mail.Subject != "Registrierung bei Example abschließen" || !strings.HasPrefix(mail.Link(), "https://app.example.com/account/register#ll_") {
			t.Errorf("mail: %q %q", mail.Subject, mail.Link())
		}
		if !strings.Contains(mail.HTML, `href="`+mail.Link()+`"`) || mail.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Errorf("HTML without the link, or no Auto-Submitted: %s", mail.HTML)
		}
		s.Ask("", complete, "t", mail.Token(), "u", "ann", "p", "short").Want("BAD_USER_INPUT password")
		s.Ask("", complete, "t", mail.Token(), "u", "alice", "p", "a good long password").Want("CONFLICT username")
		r := s.Ask("", complete, "t", mail.Token(), "u", "Ann", "p", "a good long password").Want("") // the link was not used up
		if r.Text("completeRegistration.user.email") != "ann@example.org" || r.Get("completeRegistration.user.emailVerifiedAt") == nil {
			t.Errorf("user: %s", r.Body)
		}
		s.Ask(r.Text("completeRegistration.accessToken"), `{ me { username } }`).Want("")
		s.Session("ann@example.org", "a good long password")
		s.Ask("", complete, "t", mail.Token(), "u", "second", "p", "a good long password").Want("INVALID_LINK")
	})
}

func TestTheOwnerOfAnAddressIsToldWhenItIsRegisteredAgain(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		s.Ask("", registerMutation, "e", "alice@example.com", "l", nil).Want("")
		if mail := box.Next("alice@example.com"); mail.Subject != "You already have an account at Example" || mail.Link() != "" {
			t.Errorf("mail: %q %q", mail.Subject, mail.Link())
		}
	})
}

func TestWithVerificationAfterwardsAnAccountWorksAtOnceAndGetsItsAddressLater(t *testing.T) {
	const atOnce = `mutation($e: String!, $u: String!) { register(input: {email: $e, username: $u, password: "a good long password"}) {
		login { accessToken user { email } } } }`
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		s.Ask("", registerMutation, "e", "ann@example.org").Want("BAD_USER_INPUT username")
		r := s.Ask("", atOnce, "e", "ann@example.org", "u", "ann").Want("")
		if r.Get("register.login.user.email") != nil {
			t.Errorf("an address before it was verified: %s", r.Body)
		}
		ann, token := r.Text("register.login.accessToken"), box.Next("ann@example.org").Token()
		s.Ask(s.Login("bob"), verifyEmail, "t", token).Want("INVALID_LINK")
		s.Ask("", verifyEmail, "t", token).Want("UNAUTHENTICATED MISSING")
		if r := s.Ask(ann, verifyEmail, "t", token).Want(""); r.Text("verifyEmail.user.email") != "ann@example.org" {
			t.Errorf("verified: %s", r.Body)
		}
		s.Ask("", atOnce, "e", "alice@example.com", "u", "mallory").Want("") // the same for an address in use
		if mail := box.Next("alice@example.com"); mail.Link() != "" {
			t.Errorf("a link to the address of another account: %s", mail.Text)
		}
	}, func(s *servertest.Settings) { s.Accounts.VerifyEmail = "after" })
}

func TestOnlyAddressesOfTheDomainsCanRegister(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		s.Ask("", registerMutation, "e", "ann@Example.ORG").Want("")
		box.Next("ann@example.org")
		for _, other := range []string{"ann@example.com", "ann@sub.example.org", "ann@notexample.org", `"ann@example.org"@evil.test`} {
			if code := s.Ask("", registerMutation, "e", other).Code(); code != "BAD_USER_INPUT email" {
				t.Errorf("%s: %s", other, code)
			}
		}
	}, func(s *servertest.Settings) { s.Accounts.RegistrationDomains = []string{"example.org"} })
}

func TestAForgottenPasswordCanBeReplacedByALink(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		alice, refresh, _ := s.Session("alice", servertest.AlicePassword)
		apiToken, _ := s.NewAPIToken(alice)
		s.Ask("", requestReset, "e", "ALICE@example.com").Want("")
		token := box.Next("alice@example.com").Token()
		s.Ask("", reset, "t", token, "p", "short").Want("BAD_USER_INPUT newPassword")
		r := s.Ask("", reset, "t", token, "p", "a completely new password").Want("")
		if r.Text("resetPassword.endedSessions") != "1" || r.Text("resetPassword.remainingApiTokens") != "1" {
			t.Errorf("result: %s", r.Body)
		}
		s.Ask(alice, `{ me { id } }`).Want("UNAUTHENTICATED REVOKED")
		s.Refresh(refresh).Want("UNAUTHENTICATED REVOKED")
		s.Ask(apiToken, `{ me { id } }`).Want("")
		s.Ask("", servertest.LoginMutation, "u", "alice", "p", servertest.AlicePassword).Want("INVALID_CREDENTIALS")
		s.Session("alice", "a completely new password")
		if told := box.Next("alice@example.com"); told.Subject != "Your password for Example has changed" {
			t.Errorf("told: %q", told.Subject)
		}
		s.Ask("", requestReset, "e", "alice@example.com").Want("")
		r = s.Ask("", reset, "t", box.Next("alice@example.com").Token(), "p", "another new password", "r", true).Want("")
		if r.Text("resetPassword.revokedApiTokens") != "1" {
			t.Errorf("result: %s", r.Body)
		}
		s.Ask(apiToken, `{ me { id } }`).Want("UNAUTHENTICATED REVOKED")
	})
}

func TestTheOldAddressIsToldOfAChangeAndCanUndoIt(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		alice := s.Login("alice")
		s.Ask(alice, changeEmail, "e", "alice@new.example").Want("")
		r := s.Ask(alice, verifyEmail, "t", box.Next("alice@new.example").Token()).Want("")
		if r.Text("verifyEmail.user.email") != "alice@new.example" {
			t.Errorf("verified: %s", r.Body)
		}
		told := box.Next("alice@example.com")
		if !strings.Contains(told.Text, "alice@new.example") || !strings.Contains(told.Link(), "/undo-email-change#") {
			t.Errorf("told: %s", told.Text)
		}
		s.Quiet()                       // mail that is being sent for minutes is sent again
		s.Clock.Advance(70 * time.Hour) // three days
		s.Ask("", undoEmail, "t", told.Token()).Want("")
		s.Ask("", undoEmail, "t", told.Token()).Want("INVALID_LINK")
		s.Ask("", servertest.LoginMutation, "u", "alice", "p", servertest.AlicePassword).Want("INVALID_CREDENTIALS") // known to whom changed the address
		s.Ask("", reset, "t", box.Next("alice@example.com").Token(), "p", "a completely new password").Want("")
		s.Session("alice@example.com", "a completely new password")
	})
}

func TestALinkOrACodeByEmailLogsInOnce(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		s.Ask("", askToLogin, "e", "alice@example.com").Want("")
		mail := box.Next("alice@example.com")
		r := s.Ask("", byLink, "t", mail.Token()).Want("")
		s.Ask(r.Text("loginByEmail.accessToken"), `{ me { id } }`).Want("")
		s.Ask("", byLink, "t", mail.Token()).Want("INVALID_LINK")
		s.Ask("", byCode, "e", "alice@example.com", "c", mail.Code()).Want("INVALID_LINK")
		s.Ask("", askToLogin, "e", "alice@example.com").Want("")
		code := box.Next("alice@example.com").Code()
		s.Ask("", byCode, "e", "alice@example.com", "c", "BCDFGHJK").Want("INVALID_LINK")
		s.Ask("", byCode, "e", "bob@example.com", "c", code).Want("INVALID_LINK")
		r = s.Ask("", byCode, "e", "Alice@Example.com", "c", strings.ToLower(code[:4]+"-"+code[4:])).Want("")
		if r.Text("loginByEmail.user.username") != "alice" {
			t.Errorf("logged in: %s", r.Body)
		}
		s.Ask("", `mutation { loginByEmail(input: {email: "alice@example.com"}) { accessToken } }`).Want("BAD_USER_INPUT token")
	})
}

func TestAnInvitedPersonGetsTheRolesAndNoOtherPersonDoes(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		admin := s.Login("admin")
		s.Ask(s.Login("alice"), invite, "e", "ann@example.org").Want("FORBIDDEN")
		s.Ask(admin, invite, "e", "alice@example.com").Want("CONFLICT email")
		s.Ask(admin, invite, "e", "ann@example.org", "r", []string{"USER"}).Want("")
		replaced := box.Next("ann@example.org").Token()
		s.Ask(admin, invite, "e", "ann@example.org", "r", []string{"ADMIN"}).Want("")
		token := box.Next("ann@example.org").Token()
		s.Ask("", complete, "t", replaced, "u", "ann", "p", "a good long password").Want("INVALID_LINK")
		r := s.Ask("", complete, "t", token, "u", "ann", "p", "a good long password").Want("")
		if r.Text("completeRegistration.user.roles") != "[ADMIN]" {
			t.Errorf("user: %s", r.Body)
		}
		s.Ask(admin, invite, "e", "ben@example.org").Want("")
		token = box.Next("ben@example.org").Token()
		s.Ask(admin, uninvite, "e", "ben@example.org").Want("")
		s.Ask(admin, uninvite, "e", "ben@example.org").Want("NOT_FOUND")
		s.Ask("", complete, "t", token, "u", "ben", "p", "a good long password").Want("INVALID_LINK")
	}, func(s *servertest.Settings) { s.Accounts.Registration = "off" })
}

func TestAUserCanTakeTheirDataAndDeleteTheAccount(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		alice := s.Login("alice")
		apiToken, _ := s.NewAPIToken(alice)
		r := s.Ask(alice, `mutation { exportAccount { data } }`).Want("")
		if r.Text("exportAccount.data.user.email") != "alice@example.com" || r.Text("exportAccount.data.apiTokens.0.name") != "x" ||
			r.Get("exportAccount.data.securityEvents.0.kind") == nil {
			t.Errorf("data: %s", r.Body)
		}
		if strings.Contains(r.Body, "argon2") || strings.Contains(r.Body, "sha256:") {
			t.Errorf("the data has a hash: %s", r.Body)
		}
		s.Ask(apiToken, `mutation { exportAccount { data } }`).Want("FORBIDDEN")
		s.Ask(apiToken, `mutation { deleteAccount { deletedUserId } }`).Want("FORBIDDEN")
		s.Ask(alice, `mutation { deleteAccount { deletedUserId } }`).Want("")
		s.Ask(alice, `{ me { id } }`).Want("UNAUTHENTICATED REVOKED")
		s.Ask(apiToken, `{ me { id } }`).Want("UNAUTHENTICATED MALFORMED") // there is no such token
		box.Next("alice@example.com")
		s.Quiet()
		if page, err := s.DB.Mails(t.Context(), false, db.Page{Limit: 10}); err != nil || len(page.Rows) > 0 {
			t.Errorf("mails with the address are left: %v %v", page.Rows, err)
		}
		s.Ask(s.Login("admin"), `mutation { deleteAccount { deletedUserId } }`).Want("CONFLICT") // the last administrator
	})
}

func TestWhatIsNotEnabledSaysSo(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url) // without mail
		alice := s.Login("alice")
		for _, query := range []string{
			`mutation { register(input: {email: "a@b.test"}) { login { accessToken } } }`, `mutation { requestPasswordReset(input: {email: "a@b.test"}) { expiresIn } }`,
			`mutation { requestEmailLogin(input: {email: "a@b.test"}) { expiresIn } }`, `mutation { loginByEmail(input: {token: "x"}) { accessToken } }`,
			`mutation { changeEmail(input: {email: "a@b.test"}) { expiresIn } }`, `mutation { deleteAccount { deletedUserId } }`, `mutation { exportAccount { data } }`,
		} {
			s.Ask(alice, query).Want("FEATURE_DISABLED")
		}
		s.Ask(s.Login("admin"), invite, "e", "a@b.test").Want("FEATURE_DISABLED")
	})
}

func TestAMailSurvivesAnSMTPServerThatRefusesIt(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		tries := map[string]int{} // by one connection at a time for each address
		box.Refuse = func(to string) error {
			tries[to]++
			switch {
			case to == "gone@example.org":
				return &smtp.SMTPError{Code: 550, Message: "no such mailbox"}
			case tries[to] == 1:
				return &smtp.SMTPError{Code: 451, Message: "try again"}
			}
			return nil
		}
		for _, to := range []string{"gone@example.org", "later@example.org"} {
			s.Ask("", registerMutation, "e", to).Want("")
		}
		failures := func(failed bool) (found []string) {
			page, err := s.DB.Mails(t.Context(), failed, db.Page{Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range page.Rows {
				if m.Error != "" {
					found = append(found, fmt.Sprint(m.Recipient, " ", m.NextAt == nil))
				}
			}
			return found
		}
		for deadline := time.Now().Add(10 * time.Second); len(failures(false)) < 2 && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		if got := fmt.Sprint(failures(true)); got != "[gone@example.org true]" {
			t.Errorf("given up: %s", got)
		}
		s.Clock.Advance(11 * time.Second)
		s.Ask("", registerMutation, "e", "other@example.org").Want("") // wakes the sender
		box.Next("later@example.org")
	})
}

func TestANewDeviceIsToldByMailAndAKnownOneIsNot(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		from := func(device string) {
			header := map[string][]string{"Content-Type": {"application/json"}, "User-Agent": {device}}
			s.Send("POST", "/graphql", header, fmt.Sprintf(`{"query":"mutation { login(input: {username: \"alice\", password: \"%s\"}) { accessToken } }"}`, servertest.AlicePassword)).Want("")
		}
		const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
		from(firefox) // the first login is no news
		from(firefox)
		from("curl/8.0 http://evil.test")
		if mail := box.Next("alice@example.com"); mail.Subject != "New login to your account at Example" || strings.Contains(mail.Text, "evil") {
			t.Errorf("mail: %q %s", mail.Subject, mail.Text)
		}
		s.Quiet()
		if n := len(box.All("alice@example.com")); n != 1 {
			t.Errorf("%d mails, want 1", n)
		}
		r := s.Ask(s.Login("alice"), `{ me { sessions { nodes { deviceName } } } }`).Want("")
		if name := r.Text("me.sessions.nodes.0.deviceName"); name != "Firefox on Linux" {
			t.Errorf("device: %s", name)
		}
	}, func(s *servertest.Settings) { s.Accounts.LoginAlerts = true })
}

func TestAMailIsSentOnceByTwoProcessesAndByTheOtherIfOneEnds(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		other := s.Replica()
		for i := range 20 {
			server := []*servertest.Server{s, other}[i%2]
			server.Ask("", registerMutation, "e", fmt.Sprintf("ann%d@example.org", i)).Want("")
		}
		s.Quiet()
		for i := range 20 {
			if n := len(box.All(fmt.Sprintf("ann%d@example.org", i))); n != 1 {
				t.Errorf("ann%d got %d mails", i, n)
			}
		}
	})
}

func TestInvitationsAreListedUntilTheyAreUsedRevokedOrExpired(t *testing.T) {
	withMail(t, func(t *testing.T, s *servertest.Server, box *servertest.Mailbox) {
		const list = `query($n: Int, $a: String) { invitations(first: $n, after: $a) { totalCount pageInfo { hasNextPage endCursor } nodes { id email roles invitedById createdAt expiresAt } } }`
		const revoke = `mutation($i: RevokeInvitationInput!) { revokeInvitation(input: $i) { email } }`
		admin := s.Login("admin")
		adminID := s.Ask(admin, `{ me { id } }`).Text("me.id")
		if r := s.Ask(admin, list).Want(""); r.Text("invitations.totalCount") != "0" {
			t.Errorf("%s", r.Body)
		}
		ids := map[string]string{}
		for _, name := range []string{"ann", "ben", "cora", "dan"} {
			email := name + "@example.org"
			r := s.Ask(admin, `mutation($e: String!) { inviteUser(input: {email: $e, roles: [USER]}) { invitation { id email } } }`, "e", email).Want("")
			ids[name] = r.Text("inviteUser.invitation.id")
		}
		s.Ask("", registerMutation, "e", "eve@example.org", "l", nil).Want("") // a link of another kind
		eve := box.Next("eve@example.org").Token()
		operator := auth.WithViewer(t.Context(), auth.Operator())
		if _, err := s.Auth.InviteUser(operator, auth.InviteUserInput{Email: "ed@example.org", Roles: []db.Role{auth.RoleAdmin}}); err != nil {
			t.Fatal(err)
		}
		first := s.Ask(admin, list, "n", 2).Want("")
		if first.Text("invitations.totalCount") != "5" || first.Get("invitations.pageInfo.hasNextPage") != true || first.Text("invitations.nodes.0.id") != ids["ann"] ||
			first.Text("invitations.nodes.0.email") != "ann@example.org" || first.Text("invitations.nodes.0.roles.0") != "USER" ||
			first.Text("invitations.nodes.0.invitedById") != adminID || first.Text("invitations.nodes.0.expiresAt") <= first.Text("invitations.nodes.0.createdAt") {
			t.Errorf("%s", first.Body)
		}
		next := s.Ask(admin, list, "n", 100, "a", first.Text("invitations.pageInfo.endCursor")).Want("")
		if next.Text("invitations.nodes.0.id") != ids["cora"] || next.Text("invitations.nodes.2.email") != "ed@example.org" || next.Get("invitations.nodes.2.invitedById") != nil ||
			next.Text("invitations.nodes.2.roles.0") != "ADMIN" || next.Get("invitations.pageInfo.hasNextPage") != false {
			t.Errorf("%s", next.Body)
		}
		s.Ask("", complete, "t", box.Next("ann@example.org").Token(), "u", "ann", "p", "a good long password").Want("")
		if r := s.Ask(admin, revoke, "i", map[string]any{"id": ids["ben"]}).Want(""); r.Text("revokeInvitation.email") != "ben@example.org" {
			t.Errorf("%s", r.Body)
		}
		s.Ask("", complete, "t", box.Next("ben@example.org").Token(), "u", "ben", "p", "a good long password").Want("INVALID_LINK")
		s.Ask(admin, revoke, "i", map[string]any{"email": "cora@example.org"}).Want("")
		for _, in := range []map[string]any{{"id": ids["ann"]}, {"id": ids["ben"]}, {"id": ids["cora"]}, {"id": db.NewID(db.LinkID)}, {"email": "cora@example.org"}} {
			s.Ask(admin, revoke, "i", in).Want("NOT_FOUND")
		}
		for _, in := range []map[string]any{{}, {"id": ids["dan"], "email": "dan@example.org"}, {"id": "link_1"}, {"id": adminID}} {
			s.Ask(admin, revoke, "i", in).Want("BAD_USER_INPUT id")
		}
		if r := s.Ask(admin, list).Want(""); r.Text("invitations.totalCount") != "2" || r.Text("invitations.nodes.0.id") != ids["dan"] {
			t.Errorf("%s", r.Body)
		}
		suffix, _, _ := strings.Cut(strings.TrimPrefix(eve, "ll_"), ".")
		s.Ask(admin, revoke, "i", map[string]any{"id": "link_" + suffix}).Want("NOT_FOUND")
		s.Ask("", complete, "t", eve, "u", "eve", "p", "a good long password").Want("") // revokeInvitation revokes nothing else
		s.Quiet()                                                                       // mail that is being sent for minutes is sent again
		s.Clock.Advance(8 * 24 * time.Hour)
		if r := s.Ask(s.Login("admin"), list).Want(""); r.Text("invitations.totalCount") != "0" {
			t.Errorf("%s", r.Body)
		}
	})
}
