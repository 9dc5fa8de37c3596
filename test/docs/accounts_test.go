package docs

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/mail"
	"github.com/latchkey/latchkey/test/servertest"
)

// The operations of docs/accounts.md, in the order of the page.
func TestThePageOfAccountsIsTrue(t *testing.T) {
	document := read(t, "../../docs/accounts.md")
	page := namedBlocks(document)
	dbtest.Each(t, func(t *testing.T, url string) {
		box := servertest.NewMailbox(t)
		s := servertest.Latchkey(t, url, box.Use, func(s *servertest.Settings) {
			s.Accounts.Registration, s.Accounts.SelfService = "open", []string{"password-reset", "email-login"}
			s.Accounts.LinkURL = "https://app.example.com/account"
		})
		if r := s.Ask("", page["Register"]).Want(""); r.Get("register.login") != nil {
			t.Errorf("%s", r.Body)
		}
		link := box.Next("ann@example.org")
		if !strings.HasPrefix(link.Link(), "https://app.example.com/account/register#ll_") {
			t.Errorf("link: %s", link.Link())
		}
		s.Ask("", page["Complete"], "token", link.Token()).Want("")
		s.Ask(s.Login("admin"), page["Invitations"]).Want("")
		s.Ask("", page["AskReset"]).Want("")
		if r := s.Ask("", page["Reset"], "token", box.Next("ann@example.org").Token()).Want(""); r.Text("resetPassword.endedSessions") != "1" {
			t.Errorf("%s", r.Body)
		}
		box.Next("ann@example.org") // of the change
		s.Ask("", page["AskLogin"]).Want("")
		code := box.Next("ann@example.org").Code()
		s.Ask("", strings.Replace(page["LoginByCode"], "BCDF-GHJK", code, 1)).Want("")
	})
	for _, kind := range mail.Kinds {
		if !strings.Contains(document, "`"+kind+"`") && kind != "no-account" && kind != "account-changed" {
			t.Errorf("the page lacks the mail %s", kind)
		}
	}
}
