package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/db"
)

// MethodEmail says that a user logged in by a link or code that was sent to their address. RFC 8176 has no word for it.
const MethodEmail = "email"

// RequestEmailLogin sends a link and a code for one login to an address, if an account has it. The result is the same if none
// has. It returns how long both are valid.
func (s *Service) RequestEmailLogin(ctx context.Context, email, locale string) (lifetime time.Duration, err error) {
	if err := s.available(s.accounts.EmailLogin, "logging in by e-mail"); err != nil {
		return 0, err
	}
	return mailLifetimes[mailLogin], s.requestMail(ctx, mailLogin, email, locale)
}

// EmailLoginInput has either the token of a link, or an address and the code that was sent to it.
type EmailLoginInput struct {
	redacted
	Token *string
	Email *string
	Code  *string
}

// LoginByEmail opens a session by a link or a code that was sent to the user's address. Wrong codes are throttled like wrong
// passwords.
func (s *Service) LoginByEmail(ctx context.Context, in EmailLoginInput) (*LoginPayload, error) {
	return s.loggingIn(ctx, func(ctx context.Context) (*LoginPayload, error) { return s.loginByEmail(ctx, in) })
}

func (s *Service) loginByEmail(ctx context.Context, in EmailLoginInput) (*LoginPayload, error) {
	if err := s.available(s.accounts.EmailLogin, "logging in by e-mail"); err != nil {
		return nil, err
	}
	var (
		link *db.Link
		u    *db.User
		err  error
		won  *attempt
	)
	switch {
	case in.Token != nil && in.Email == nil && in.Code == nil:
		link, u, err = s.linkOwner(ctx, *in.Token, mailLogin)
	case in.Token == nil && in.Email != nil && in.Code != nil:
		link, u, won, err = s.codeOwner(ctx, *in.Email, *in.Code)
	default:
		err = inputError("token", "or both email and code are required")
	}
	if err != nil {
		return nil, err
	}
	use := func(tx *db.DB) error {
		owner, err := s.useLinkOf(ctx, tx, link, s.timestamp())
		if err != nil {
			return err
		}
		*u = *owner
		return tx.SaveUser(ctx, u)
	}
	p, err := s.completeLogin(ctx, u, proof{methods: []string{MethodEmail}, guess: won, use: use})
	if errors.Is(err, errChanged) {
		err = ErrInvalidLink
	}
	return p, err
}

// codeOwner returns the link to an address that has the code, and its user. The attempt counts as failed until the login
// succeeds.
func (s *Service) codeOwner(ctx context.Context, email, code string) (*db.Link, *db.User, *attempt, error) {
	email, err := s.checkRecipient(email, "")
	if err != nil {
		return nil, nil, nil, err
	}
	guess, err := s.attempt(ctx, "code "+email, &db.User{})
	if err != nil {
		return nil, nil, nil, s.recordThrottled(ctx, &db.User{}, err)
	}
	links, err := s.db.LinksTo(ctx, email, mailLogin, s.timestamp(), maxCodes)
	if err != nil {
		return nil, nil, nil, err
	}
	code = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code))
	for _, link := range links {
		if s.hasCode(link, code) {
			u, err := s.ownerOf(ctx, s.db, link)
			return link, u, guess, err
		}
	}
	err = s.record(ctx, s.event(ctx, EventLoginFailed, "", "", "a code that was sent by e-mail"))
	return nil, nil, nil, errors.Join(err, ErrInvalidLink)
}

// maxCodes is how many codes of an address are valid at a time.
const maxCodes = 3

func (s *Service) hasCode(link *db.Link, code string) bool {
	return slices.ContainsFunc(s.secrets, func(secret Secret) bool {
		return subtle.ConstantTimeCompare([]byte(code), []byte(linkCode(secret, link.ID))) == 1
	})
}
