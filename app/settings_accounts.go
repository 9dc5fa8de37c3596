package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/internal/lazy"
	"github.com/latchkey/latchkey/mail"
)

// AccountSettings are what users may do with their accounts themselves, and how mail is sent.
type AccountSettings struct {
	Registration        string   `env:"LATCHKEY_REGISTRATION" enum:"off,open" default:"off" help:"Who may register: off: only users whom an administrator creates or invites; open: everyone with an e-mail address. Needs mail."`
	RegistrationDomains []string `name:"registration-domains" env:"LATCHKEY_REGISTRATION_DOMAINS" placeholder:"DOMAIN" help:"Only addresses at these domains may register, such as example.com; several with commas."`
	VerifyEmail         string   `name:"verify-email" env:"LATCHKEY_VERIFY_EMAIL" enum:"before,after" default:"before" help:"When a new user verifies the e-mail address: before the account is created, or after the first login."`
	SelfService         []string `name:"self-service" env:"LATCHKEY_SELF_SERVICE" enum:"password-reset,change-email,email-login,delete,export,none" default:"password-reset,change-email,export" help:"What users may do themselves: password-reset, change-email, email-login (log in by a link or code that is sent to them), delete (their account), export (their data); several with commas; or none."`
	LoginAlerts         bool     `name:"login-alerts" env:"LATCHKEY_LOGIN_ALERTS" default:"true" negatable:"" help:"Send users a mail about a login on a device, or from a network, that is new."`
	LinkURL             string   `name:"link-url" env:"LATCHKEY_LINK_URL" placeholder:"URL" help:"URL of your pages that links in mails open; /register, /reset-password, /verify-email, /undo-email-change or /login and the token after # follow. Default: pages of this server."`
	SMTPURL             string   `name:"smtp-url" env:"LATCHKEY_SMTP_URL" placeholder:"URL" help:"SMTP server for mail: smtp://USER:PASSWORD@HOST:PORT, with STARTTLS, or smtps://. Default: no mail, or with SQLite on a loopback address, mail is written to the log."`
	MailFrom            string   `name:"mail-from" env:"LATCHKEY_MAIL_FROM" placeholder:"ADDRESS" help:"Sender of mail, such as \"Example <no-reply@example.com>\". The name is also that of the service in mails."`
}

var domainPattern = lazy.Regexp(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)

func (s *AccountSettings) validate() error {
	for _, domain := range s.RegistrationDomains {
		if !domainPattern().MatchString(domain) {
			return fmt.Errorf("--registration-domains (LATCHKEY_REGISTRATION_DOMAINS) must be domains such as example.com, not %q", domain)
		}
	}
	if s.SMTPURL != "" {
		if _, err := mail.ParseURL(s.SMTPURL); err != nil {
			return fmt.Errorf("--smtp-url (LATCHKEY_SMTP_URL) %w", err)
		}
		if u, err := url.Parse(s.SMTPURL); err == nil && u.User != nil && s.SMTPURL != os.Getenv("LATCHKEY_SMTP_URL") {
			return errors.New("all users of this machine can read the password of the SMTP server in a flag, in the list of processes: set LATCHKEY_SMTP_URL in the environment instead")
		}
	}
	if _, err := netmail.ParseAddress(s.MailFrom); s.MailFrom != "" && err != nil {
		return fmt.Errorf("--mail-from (LATCHKEY_MAIL_FROM) must be an address such as \"Example <no-reply@example.com>\", not %q", s.MailFrom)
	}
	if s.LinkURL != "" {
		if u, err := url.Parse(s.LinkURL); err != nil || !isPlain(s.LinkURL) || u.Scheme != "https" && !cookieHost(s.LinkURL) || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("--link-url (LATCHKEY_LINK_URL) must be a URL such as https://app.example.com/account, with https:// except on this machine, not %q", s.LinkURL)
		}
	}
	switch {
	case (s.SMTPURL == "") != (s.MailFrom == ""):
		return errors.New("--smtp-url (LATCHKEY_SMTP_URL) and --mail-from (LATCHKEY_MAIL_FROM) go together: set both or none")
	case s.Registration != "open" && (len(s.RegistrationDomains) > 0 || s.VerifyEmail == "after"):
		return errors.New("--registration-domains (LATCHKEY_REGISTRATION_DOMAINS) and --verify-email (LATCHKEY_VERIFY_EMAIL) do nothing without --registration=open (LATCHKEY_REGISTRATION)")
	case len(s.RegistrationDomains) > 0 && s.VerifyEmail == "after":
		return errors.New("--registration-domains (LATCHKEY_REGISTRATION_DOMAINS) would not keep others out with --verify-email=after (LATCHKEY_VERIFY_EMAIL), since an account then works without the address: remove one")
	case len(s.SelfService) > 1 && slices.Contains(s.SelfService, "none"):
		return errors.New("--self-service (LATCHKEY_SELF_SERVICE) must be none, or some of the others")
	}
	return nil
}

// accounts returns what users may do. embedded says whether the database is SQLite.
func (s *ServeSettings) accounts(p *program, embedded bool, log *slog.Logger) (auth.Accounts, error) {
	c := &s.Accounts
	allowed := func(what string) bool { return slices.Contains(c.SelfService, what) }
	a := auth.Accounts{
		Registration: auth.Registration(c.Registration), Domains: c.RegistrationDomains, VerifyAfter: c.VerifyEmail == "after",
		PasswordReset: allowed("password-reset"), ChangeEmail: allowed("change-email"), EmailLogin: allowed("email-login"),
		Delete: allowed("delete"), Export: allowed("export"), LoginAlerts: c.LoginAlerts,
		LinkURL: cmp.Or(c.LinkURL, s.Issuer+"/account"), AppName: p.title(), Templates: p.MailTemplates, ExportMore: p.ExportAccount,
	}
	switch {
	case c.SMTPURL != "":
		server, err := mail.ParseURL(c.SMTPURL)
		if err != nil {
			return a, err
		}
		from, err := netmail.ParseAddress(c.MailFrom)
		if err != nil {
			return a, fmt.Errorf("--mail-from: %w", err)
		}
		a.AppName, a.Send = cmp.Or(from.Name, a.AppName), server.Send(from)
		if c.LinkURL == "" && s.Documents == graph.DocumentsRegistered {
			return a, &usageError{errors.New("--link-url (LATCHKEY_LINK_URL) is needed for mail, because the pages of this server do not run where only registered documents do")}
		}
	case s.logsMail(embedded):
		a.Send = mail.Log(log)
	case a.Registration == auth.RegistrationOpen:
		return a, &usageError{errors.New("--registration=open (LATCHKEY_REGISTRATION) needs mail: set LATCHKEY_SMTP_URL and LATCHKEY_MAIL_FROM")}
	}
	return a, nil
}

// pagesOf returns the name of the service for the pages of the server, or "" where links open other pages, or where the pages
// would be of no use: without mail and providers.
func (s *ServeSettings) pagesOf(a auth.Accounts, providers []auth.Provider) string {
	if !s.mayHavePages() || a.Send == nil && len(providers) == 0 {
		return ""
	}
	return a.AppName
}

func (s *ServeSettings) mayHavePages() bool {
	return s.Accounts.LinkURL == "" && s.Documents != graph.DocumentsRegistered
}

// queuedMail returns the accounts of a command. With the server's LATCHKEY_SMTP_URL, it puts mails to users into the outbox,
// from which a server sends them.
func queuedMail() (a auth.Accounts) {
	if os.Getenv("LATCHKEY_SMTP_URL") != "" {
		a.Send = func(context.Context, *mail.Message) error { return errors.New("commands send no mail") }
	}
	return a
}

// logsMail reports whether mail is written to the log, for development: on SQLite, where only this machine can log in.
func (s *ServeSettings) logsMail(embedded bool) bool {
	u, err := url.Parse(s.Issuer)
	return s.Accounts.SMTPURL == "" && embedded && err == nil && u.Scheme == "http" && cookieHost(s.Issuer)
}

// title is the name of the program for people.
func (p *program) title() string { return strings.ToUpper(p.Name[:1]) + p.Name[1:] }
