package docs

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// The operations of docs/second-factors.md, in the order of the page.
func TestThePageOfSecondFactorsIsTrue(t *testing.T) {
	page := namedBlocks(read(t, "../../docs/second-factors.md"))
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		alice, _, _ := s.Session("alice", servertest.AlicePassword)
		started := s.Ask(alice, page["Start"]).Want("")
		if !strings.HasPrefix(started.Text("startTotp.qrCode"), "<svg ") || !strings.HasPrefix(started.Text("startTotp.uri"), "otpauth://totp/latchkey.test:alice?") {
			t.Errorf("%s", started.Body)
		}
		code := func() string {
			s.Clock.Advance(30 * time.Second)
			return servertest.TOTP(t, started.Text("startTotp.secret"), s.Clock.Now())
		}
		confirmed := s.Ask(alice, page["Confirm"], "code", code()).Want("")
		refused := s.Ask("", servertest.LoginMutation, "u", "alice", "p", servertest.AlicePassword).Want("MFA_REQUIRED")
		extensions := refused.Errors[0].Extensions
		if fmt.Sprint(extensions["methods"]) != "[totp recovery_code]" || !strings.HasPrefix(fmt.Sprint(extensions["challenge"]), "lc_") {
			t.Errorf("%s", refused.Body)
		}
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(extensions["expiresAt"])); err != nil || at.Sub(s.Clock.Now()) > 5*time.Minute {
			t.Errorf("expiresAt: %v: %s", err, refused.Body)
		}
		access := s.Ask("", page["Complete"], "challenge", extensions["challenge"], "code", code()).Want("").Text("completeLogin.accessToken")
		s.Ask(access, page["Again"], "password", servertest.AlicePassword).Want("MFA_REQUIRED")
		s.Ask(access, page["Again"], "password", servertest.AlicePassword, "code", code()).Want("")
		s.Ask(access, page["Remove"], "id", confirmed.Text("confirmTotp.factor.id")).Want("")

		key := servertest.NewPasskey(t)
		added := s.Ask(access, page["ConfirmPasskey"], "passkey", key.Create(s.Ask(access, page["StartPasskey"]).Want("").Text("startPasskey.options"))).Want("")
		if codes, _ := added.Get("confirmPasskey.recoveryCodes").([]any); len(codes) != 10 {
			t.Errorf("%s", added.Body)
		}
		s.Ask("", page["LoginByPasskey"], "passkey", key.Get(s.Ask("", page["StartPasskeyLogin"]).Want("").Text("startPasskeyLogin.options"))).Want("")
		refused = s.Ask("", servertest.LoginMutation, "u", "alice", "p", servertest.AlicePassword).Want("MFA_REQUIRED")
		s.Ask("", page["CompleteByPasskey"], "challenge", refused.Extension("challenge"), "passkey", key.Get(refused.Extension("passkeyOptions"))).Want("")
	})
}

// A project with the page's schema: fields with @mfa and @recentAuth are given to those sessions alone, by every transport,
// and by what writes results directly too. T247.
func TestAProjectAsksForASecondFactorAsThePageSays(t *testing.T) {
	clone := copyRepository(t)
	runIn(t, clone, "sh", "-ec", strings.ReplaceAll(markedBlock(t, read(t, "../../README.md"), "init"), "go test ./...", ""))
	dir := filepath.Join(filepath.Dir(clone), "shop")
	write(t, filepath.Join(dir, "graph/salary.graphqls"), namedBlocks(read(t, "../../docs/second-factors.md"))["graph/salary.graphqls"])
	runIn(t, dir, "go", "generate", "./...")
	fillIn(t, filepath.Join(dir, "graph/salary.resolvers.go"), `func (r *queryResolver) Salary(ctx context.Context) (*model.Salary, error) {
	account := "DE02 1203 0000 0000 2020 51"
	return &model.Salary{Amount: 250_000, Account: &account}, nil
}
`)
	write(t, filepath.Join(dir, "salary_test.go"), `package main

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/test/servertest"
)

func TestSalary(t *testing.T) {
	servertest.Each(t, options(), func(t *testing.T, s *servertest.Server) {
		ann := s.User("ann")
		each := func(token, query, want string) {
			t.Helper()
			for _, r := range s.AskByEach(t, token, query) {
				r.Want(want)
			}
		}
		const amount, account = "{ salary { amount } }", "{ salary { amount account } }"
		each(ann.Token, amount, "MFA_REQUIRED")
		token, _ := s.NewAPIToken(ann.Token)
		each(token, amount, "FORBIDDEN")
		s.Ask("", amount).Want("UNAUTHENTICATED MISSING")
		secret := ann.Ask("mutation { startTotp { secret } }").Want("").Text("startTotp.secret")
		ann.Ask("mutation($c: String!) { confirmTotp(input: {code: $c}) { factor { name } } }", "c", servertest.TOTP(t, secret, s.Clock.Now())).Want("")
		each(ann.Token, account, "")
		if got := ann.Ask(account); got.Text("salary.amount") != "250000" || got.Text("salary.account") == "<nil>" {
			t.Errorf("got %s", got.Body)
		}
		s.Clock.Advance(9*time.Minute + 50*time.Second)
		ann.Ask(account).Want("")
		s.Clock.Advance(time.Minute)
		r := s.Ask(ann.Token, "{ salary { amount } }")
		if r.Code() != "UNAUTHENTICATED EXPIRED" { // the access token ends within the leeway
			each(ann.Token, account, "REAUTHENTICATION_REQUIRED")
			each(ann.Token, amount, "")
		}
	})
}
`)
	runIn(t, dir, "go", "vet", "./...")
	runIn(t, dir, "go", "test", "-count=1", "./...")
	if out := runIn(t, dir, "go", "run", ".", "schema", "audit"); !strings.Contains(out, "with a login or reauthentication within 10m") || !strings.Contains(out, "any viewer who is logged in, with a second factor") {
		t.Errorf("the audit: %s", out)
	}
}
