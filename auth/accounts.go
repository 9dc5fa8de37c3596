package auth

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/mail"
)

// Registration says who may register.
type Registration string

// The kinds of registration.
const (
	RegistrationOff  Registration = "off"  // only administrators create users, or invite them
	RegistrationOpen Registration = "open" // every address, or those of some domains
)

// Accounts are what users may do with their accounts themselves, mostly by e-mail. The zero value allows nothing.
type Accounts struct {
	Registration Registration
	Domains      []string // that may register, such as "example.com"; every one if empty
	VerifyAfter  bool     // whether a new account can be used before its e-mail address is verified

	PasswordReset bool
	ChangeEmail   bool
	EmailLogin    bool
	Delete        bool
	Export        bool
	LoginAlerts   bool // whether users get a mail about a login on a new device

	LinkURL string    // of the pages that the links in mails open; the kind and a fragment with the token follow
	AppName string    // of the service, in mails
	Send    mail.Send // nil: there is no mail, so that only Delete and Export can be allowed
	// Templates of mails that replace or translate the embedded ones: LOCALE/KIND.txt and .html, see mail.Templates. May be nil.
	Templates fs.FS
	// ExportMore returns a program's own data of a user, to be exported with the rest. May be nil.
	ExportMore func(ctx context.Context, u *db.User) (map[string]any, error)
}

// A DisabledError says that the server does not offer something.
type DisabledError struct{ Feature string }

func (e *DisabledError) Error() string { return e.Feature + " is not enabled on this server" }

// available returns a DisabledError unless a feature is allowed and there is mail.
func (s *Service) available(allowed bool, feature string) error {
	if !allowed || s.accounts.Send == nil {
		return &DisabledError{Feature: feature}
	}
	return nil
}

// Limits of what anonymous clients can have sent. The delays are those of db.ThrottleRule: they grow from a second.
var (
	mailsToAddress   = db.ThrottleRule{Free: 3, Max: mailWindow / 24, Window: mailWindow}
	mailsByClient    = db.ThrottleRule{Free: 20, Max: mailWindow / 144, Window: mailWindow / 24}
	accountsByClient = db.ThrottleRule{Free: 10, Max: mailWindow / 144, Window: mailWindow / 24}
)

// requestMail puts a mail to an address into the outbox for an anonymous client. Whether an account has the address is looked
// up when the mail is sent, so that the request does the same, and has the same result, for all addresses.
func (s *Service) requestMail(ctx context.Context, kind, email, locale string) error {
	email, err := s.checkRecipient(email, locale)
	if err != nil {
		return err
	}
	ctx = asNobody(ctx)
	client := networkOf(ViewerFrom(ctx).Client.IP)
	err = s.db.Transact(ctx, func(tx *db.DB) error {
		if err := s.limit(ctx, tx, mailsToAddress, "mail to", email, kind); err != nil { // by kind: a flood of one keeps no one from another
			return err
		}
		if err := s.limit(ctx, tx, mailsByClient, "mail by", client); err != nil {
			return err
		}
		return tx.CreateMail(ctx, s.newMail(kind, email, locale, ""))
	})
	s.mailer.poke()
	return err
}

// limit counts a request under a key, or returns a RateLimitedError.
func (s *Service) limit(ctx context.Context, tx *db.DB, rule db.ThrottleRule, key ...string) error {
	wait, err := tx.Attempt(ctx, hashedKey(key...), rule, s.timestamp())
	if err == nil && wait > 0 {
		err = &RateLimitedError{RetryAfter: wait}
	}
	return err
}

// checkRecipient validates an address and a locale, and returns the address as it is stored.
func (s *Service) checkRecipient(email, locale string) (string, error) {
	email = strings.TrimSpace(email)
	if err := checkEmail(email); err != nil {
		return "", err
	}
	if strings.HasSuffix(email, "]") { // an address literal (RFC 5321, section 4.1.3) could name any machine of this network
		return "", inputError("email", "must have a domain, such as ann@example.com")
	}
	if len(locale) > maxLocale || strings.ContainsFunc(locale, notInLocale) {
		return "", inputError("locale", "must be a language tag such as en or pt-BR")
	}
	return EmailKey(email), nil
}

const maxLocale = 35 // RFC 5646, section 4.4.1

func notInLocale(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// RegisterInput is a request to register. With Accounts.VerifyAfter it has a name and a password; otherwise these are chosen
// when the address is verified.
type RegisterInput struct {
	redacted
	Email    string
	Username *string
	Password *string
	Name     *string
	Locale   *string
}

// Register sends a link to an address, by which CompleteRegistration makes an account. The result is the same if an account has
// the address; its owner is told so by mail. With Accounts.VerifyAfter it makes the account at once, without an address, logs
// in, and sends a link by which VerifyEmail adds the address.
func (s *Service) Register(ctx context.Context, in RegisterInput) (*LoginPayload, error) {
	if err := s.available(s.accounts.Registration == RegistrationOpen, "registration"); err != nil {
		return nil, err
	}
	email, err := s.checkRecipient(in.Email, orEmpty(in.Locale))
	if err != nil {
		return nil, err
	}
	if !s.domainAllowed(email) {
		return nil, inputError("email", "must be an address at %s", strings.Join(s.accounts.Domains, " or "))
	}
	if s.accounts.VerifyAfter {
		return s.loggingIn(ctx, func(ctx context.Context) (*LoginPayload, error) { return s.registerAtOnce(ctx, email, in) })
	}
	for field, value := range map[string]*string{"username": in.Username, "password": in.Password, "name": in.Name} {
		if value != nil {
			return nil, inputError(field, "is chosen later, with the link that is sent to the address")
		}
	}
	return nil, s.requestMail(ctx, mailRegister, email, orEmpty(in.Locale))
}

func (s *Service) domainAllowed(email string) bool {
	_, domain, _ := strings.Cut(email, "@")
	return len(s.accounts.Domains) == 0 || slices.ContainsFunc(s.accounts.Domains, func(d string) bool { return strings.EqualFold(d, domain) })
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// registerAtOnce makes an account whose address is not yet verified. It does not have the address until then: so it takes the
// address from no one, and works the same whether or not another account has it.
func (s *Service) registerAtOnce(ctx context.Context, email string, in RegisterInput) (*LoginPayload, error) {
	if in.Username == nil || in.Password == nil {
		return nil, inputError("username", "and password are required")
	}
	if err := s.limitAccounts(ctx); err != nil {
		return nil, err
	}
	u, err := s.newUser(ctx, *in.Username, *in.Password, in.Name, orEmpty(in.Locale))
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if err := s.limit(ctx, tx, mailsToAddress, "mail to", email, mailVerifyEmail); err != nil {
			return nil, err
		}
		if err := s.insertUser(ctx, tx, u); err != nil {
			return nil, err
		}
		return byUser(s.event(ctx, EventUserCreated, u.ID, "", "registered")), tx.CreateMail(ctx, s.newMail(mailVerifyEmail, email, u.Locale, u.ID))
	})
	if err != nil {
		return nil, inUse(err)
	}
	return s.completeLogin(ctx, u, proof{methods: []string{MethodPassword}})
}

// limitAccounts counts an attempt by a client to make an account, before the password is hashed, whether or not the user name
// is free.
func (s *Service) limitAccounts(ctx context.Context) error {
	client := networkOf(ViewerFrom(ctx).Client.IP)
	return s.db.Transact(ctx, func(tx *db.DB) error { return s.limit(ctx, tx, accountsByClient, "register", client) })
}

// newUser returns a user with the password, who is not stored yet.
func (s *Service) newUser(ctx context.Context, username, password string, name *string, locale string) (*db.User, error) {
	u := &db.User{ID: db.NewID(db.UserID), CreatedAt: s.timestamp(), Locale: locale}
	u.UpdatedAt = u.CreatedAt
	err := UserChanges{Username: &username, Name: &name, Roles: &[]db.Role{RoleUser}}.apply(u, s.rights)
	if err != nil {
		return nil, err
	}
	u.PasswordHash, err = s.newPasswordHash(ctx, "password", password, u)
	return u, err
}

// CompleteRegistrationInput is what is chosen with the link of a registration or an invitation.
type CompleteRegistrationInput struct {
	redacted
	Token    string
	Username string
	Password string
	Name     *string
	Locale   *string
}

// CompleteRegistration makes the account of a registration or an invitation, and logs in.
func (s *Service) CompleteRegistration(ctx context.Context, in CompleteRegistrationInput) (*LoginPayload, error) {
	return s.loggingIn(ctx, func(ctx context.Context) (*LoginPayload, error) { return s.completeRegistration(ctx, in) })
}

func (s *Service) completeRegistration(ctx context.Context, in CompleteRegistrationInput) (*LoginPayload, error) {
	link, err := s.readLink(ctx, in.Token, mailRegister, mailInvitation)
	if err != nil {
		return nil, err
	}
	if link.Kind == mailRegister && s.accounts.Registration != RegistrationOpen {
		return nil, &DisabledError{Feature: "registration"}
	}
	if _, err := s.checkRecipient(link.Email, orEmpty(in.Locale)); err != nil {
		return nil, err
	}
	if err := s.limitAccounts(ctx); err != nil {
		return nil, err
	}
	u, err := s.newUser(ctx, in.Username, in.Password, in.Name, orEmpty(in.Locale))
	if err != nil {
		return nil, err
	}
	u.Email, u.EmailVerifiedAt = &link.Email, &u.CreatedAt
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if err := s.grantInvited(ctx, tx, link, u); err != nil {
			return nil, err
		}
		if err := useLink(ctx, tx, link, u.CreatedAt); err != nil {
			return nil, err
		}
		if _, err := tx.RevokeLinksTo(ctx, link.Email, link.Kind, u.CreatedAt); err != nil {
			return nil, err
		}
		return byUser(s.event(ctx, EventUserCreated, u.ID, "", "registered")), s.insertUser(ctx, tx, u)
	})
	if err != nil {
		return nil, inUse(err)
	}
	return s.completeLogin(ctx, u, proof{methods: []string{MethodPassword}})
}

// grantInvited gives the roles of an invitation, if the user who sent it may still give them.
func (s *Service) grantInvited(ctx context.Context, tx *db.DB, link *db.Link, u *db.User) error {
	if link.Kind != mailInvitation {
		return nil
	}
	u.Roles = link.Roles
	if s.rights.checkRoles(u.Roles) != nil {
		return ErrInvalidLink
	}
	if link.InvitedBy == nil { // an operator
		return nil
	}
	by, err := tx.UserByID(ctx, *link.InvitedBy)
	if errors.Is(err, db.ErrNotFound) {
		return ErrInvalidLink
	}
	if err != nil {
		return err
	}
	has := s.rights.Granted(by.Roles)
	if by.DisabledAt != nil || !has.include([]string{"users:write"}) || !has.include(s.rights.Granted(u.Roles)) {
		return ErrInvalidLink
	}
	return nil
}

// InviteUserInput says whom to invite.
type InviteUserInput struct {
	Email  string
	Roles  []db.Role // RoleUser if nil
	Locale *string
}

// InviteUser sends a link to an address, by which its owner makes an account with the roles. The viewer needs users:write and
// every scope that the user will get, still when the link is used. An earlier invitation of the address is replaced.
func (s *Service) InviteUser(ctx context.Context, in InviteUserInput) (*db.Link, error) {
	if err := ViewerFrom(ctx).Require([]string{"users:write"}); err != nil {
		return nil, err
	}
	if err := s.available(true, "mail"); err != nil {
		return nil, err
	}
	email, err := s.checkRecipient(in.Email, orEmpty(in.Locale))
	if err != nil {
		return nil, err
	}
	u := &db.User{Roles: []db.Role{RoleUser}}
	if in.Roles != nil {
		if err := (UserChanges{Roles: &in.Roles}).apply(u, s.rights); err != nil {
			return nil, err
		}
	}
	if err := s.mayGive(ctx, u); err != nil {
		return nil, err
	}
	m := s.newMail(mailInvitation, email, orEmpty(in.Locale), "")
	link := newLink(m, nil)
	link.Roles = u.Roles
	if id := ViewerFrom(ctx).ID(); id != "" {
		link.InvitedBy = &id
	}
	return link, s.change(ctx, ViewerFrom(ctx).ID(), func(tx *db.DB) (*db.Event, error) {
		if len(s.rights.Granted(u.Roles)) > 0 {
			if err := s.recent(ctx, tx); err != nil {
				return nil, err
			}
		}
		switch _, err := tx.UserByEmail(ctx, email); {
		case err == nil:
			return nil, &ConflictError{Field: "email", Message: "this email is in use"}
		case !errors.Is(err, db.ErrNotFound):
			return nil, err
		}
		if _, err := tx.RevokeLinksTo(ctx, email, mailInvitation, m.CreatedAt); err != nil {
			return nil, err
		}
		return s.event(ctx, EventUserInvited, "", link.ID, "roles: "+joinRoles(u.Roles)), errors.Join(tx.CreateLink(ctx, link), tx.CreateMail(ctx, m))
	})
}

// joinRoles names roles, for an event. The event has no address, since it outlives the user.
func joinRoles(roles []db.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, " ")
}

// RevokeInvitationInput says which invitation to revoke, by one of both.
type RevokeInvitationInput struct{ ID, Email *string }

// RevokeInvitation revokes an invitation and returns its address. It returns db.ErrNotFound if there is none that can be used.
func (s *Service) RevokeInvitation(ctx context.Context, in RevokeInvitationInput) (email string, err error) {
	if err := ViewerFrom(ctx).Require([]string{"users:write"}); err != nil {
		return "", err
	}
	switch {
	case (in.ID == nil) == (in.Email == nil):
		return "", inputError("id", "or email is required, and not both")
	case in.ID != nil && db.CheckID(db.LinkID, *in.ID) != nil:
		return "", inputError("id", "must be the ID of an invitation")
	case in.Email != nil:
		if email, err = s.checkRecipient(*in.Email, ""); err != nil {
			return "", err
		}
	}
	err = s.change(ctx, ViewerFrom(ctx).ID(), func(tx *db.DB) (*db.Event, error) {
		if in.ID != nil {
			link, err := tx.Link(ctx, *in.ID)
			if err == nil {
				email, err = link.Email, tx.RevokeLink(ctx, link.ID, mailInvitation, s.timestamp())
			}
			return s.event(ctx, EventInvitationRevoked, "", *in.ID, ""), err
		}
		n, err := tx.RevokeLinksTo(ctx, email, mailInvitation, s.timestamp())
		if err == nil && n == 0 {
			err = db.ErrNotFound
		}
		return s.event(ctx, EventInvitationRevoked, "", "", ""), err
	})
	return email, err
}

// Invitations lists the invitations that can be used, oldest first. The viewer needs users:write, as to invite.
func (s *Service) Invitations(ctx context.Context, p db.Page) (db.PageOf[db.Link], error) {
	if err := ViewerFrom(ctx).Require([]string{"users:write"}); err != nil {
		return db.PageOf[db.Link]{}, err
	}
	return s.db.OpenLinks(ctx, mailInvitation, s.timestamp(), p)
}

// CountInvitations counts what Invitations lists.
func (s *Service) CountInvitations(ctx context.Context) (int, error) {
	if err := ViewerFrom(ctx).Require([]string{"users:write"}); err != nil {
		return 0, err
	}
	return s.db.CountOpenLinks(ctx, mailInvitation, s.timestamp())
}
