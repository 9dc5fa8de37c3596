package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/auth/providers"
	"github.com/latchkey/latchkey/db"
)

// CompleteProviderLogin opens a session for the user who is linked to the identity at the provider. An unknown identity
// creates a user, or is linked to the user with the same address, only if the provider's configuration allows it.
func (s *Service) CompleteProviderLogin(ctx context.Context, in CompleteProviderLoginInput) (*LoginPayload, error) {
	return s.loggingIn(ctx, func(ctx context.Context) (*LoginPayload, error) { return s.completeProviderLogin(ctx, in) })
}

func (s *Service) completeProviderLogin(ctx context.Context, in CompleteProviderLoginInput) (*LoginPayload, error) {
	provider, claims, err := s.identifyAt(ctx, in, "")
	if err != nil {
		return nil, err
	}
	var p *LoginPayload
	for range 2 { // retry once: the account may have changed since it was read, or another request have linked the identity
		if p, err = s.loginAs(ctx, provider, claims); !errors.Is(err, errChanged) {
			break
		}
	}
	if errors.Is(err, errChanged) {
		err = ErrProviderLogin
	}
	if err != nil {
		return nil, err
	}
	if failed := s.db.Succeeded(ctx, startsKey(ctx), s.timestamp()); failed != nil { // the session is open
		s.log.Warn("a completed log-in still counts as started", "error", failed)
	}
	return p, nil
}

// loginAs opens a session for the user at the provider. It returns errChanged if the account has changed meanwhile.
func (s *Service) loginAs(ctx context.Context, provider *providers.Client, claims *providers.Claims) (*LoginPayload, error) {
	identity, err := s.db.IdentityByKey(ctx, db.IdentityKey(provider.Name, claims.Issuer, claims.Subject))
	if errors.Is(err, db.ErrNotFound) {
		identity, err = s.unknownIdentity(ctx, provider, claims)
	}
	if err != nil {
		return nil, err
	}
	u, err := s.db.UserByID(ctx, identity.UserID)
	if errors.Is(err, db.ErrNotFound) {
		return nil, errChanged
	}
	if err != nil {
		return nil, err
	}
	if u.DisabledAt != nil {
		err := s.record(ctx, s.event(ctx, EventLoginFailed, u.ID, "", "by "+provider.Name))
		return nil, cmp.Or[error](err, &UnauthenticatedError{Reason: UserDisabled})
	}
	identity.Email = emailOf(claims)
	return s.completeLogin(ctx, u, proof{methods: []string{MethodProvider}, identity: identity, providerSID: claims.SessionID})
}

// unknownIdentity links an identity that is seen for the first time to a user, or creates one, if the configuration allows it.
// An address that the provider has not verified says nothing.
func (s *Service) unknownIdentity(ctx context.Context, provider *providers.Client, claims *providers.Claims) (*db.Identity, error) {
	verified := verifiedEmail(claims)
	owner, err := &db.User{}, db.ErrNotFound
	if verified != nil {
		owner, err = s.db.UserByLogin(ctx, "", *verified)
	}
	var identity *db.Identity
	switch {
	case err == nil && provider.LinkVerified && owner.EmailVerifiedAt != nil:
		identity, err = s.linkVerified(ctx, provider, claims, owner.ID)
	case err == nil:
		err = ErrIdentityNotLinked
	case !errors.Is(err, db.ErrNotFound):
		return nil, err
	case !provider.Signup || !inDomains(provider.Domains, verified):
		err = ErrSignupDisabled
	default:
		identity, err = s.signUp(ctx, provider, claims)
	}
	if errors.Is(err, ErrIdentityNotLinked) || errors.Is(err, ErrSignupDisabled) {
		id := ""
		if owner != nil {
			id = owner.ID
		}
		err = cmp.Or(s.record(ctx, s.event(ctx, EventLoginFailed, id, "", "by "+provider.Name+": not linked")), err)
	}
	return identity, identityConflict(err)
}

// identityConflict converts the conflict of an identity that another request has linked meanwhile.
func identityConflict(err error) error {
	if conflict, ok := errors.AsType[*db.ConflictError](err); ok && conflict.Index == "identities_key" {
		return errChanged
	}
	return err
}

// linkVerified links the identity to the user, whose address both sides have verified.
func (s *Service) linkVerified(ctx context.Context, provider *providers.Client, claims *providers.Claims, userID string) (identity *db.Identity, err error) {
	err = s.change(ctx, userID, func(tx *db.DB) (*db.Event, error) {
		u, err := tx.UserByID(ctx, userID)
		if err != nil {
			return nil, err
		}
		if u.EmailVerifiedAt == nil || u.Email == nil || *u.Email != *verifiedEmail(claims) {
			return nil, errChanged
		}
		others, err := tx.Identities(ctx, u.ID)
		if err != nil {
			return nil, err
		}
		if len(others) > 0 { // it may be only another provider that has vouched for the address
			return nil, ErrIdentityNotLinked
		}
		if identity, err = s.insertIdentity(ctx, tx, provider, claims, u.ID); err != nil {
			return nil, err
		}
		err = s.notifyOf(ctx, tx, mailAccountChanged, u, "an account at "+provider.Label+" was linked")
		return byUser(s.event(ctx, EventIdentityLinked, u.ID, identity.ID, provider.Name+", by the verified address")), err
	})
	return identity, err
}

// signUp creates a user for the identity. The user has no password.
func (s *Service) signUp(ctx context.Context, provider *providers.Client, claims *providers.Claims) (identity *db.Identity, err error) {
	u := &db.User{ID: db.NewID(db.UserID), Email: verifiedEmail(claims), Roles: []db.Role{RoleUser}, CreatedAt: s.timestamp()}
	u.UpdatedAt = u.CreatedAt
	if u.Email != nil {
		u.EmailVerifiedAt = &u.CreatedAt
	}
	if checkText("name", claims.Name, 1, maxName) == nil {
		u.Name = &claims.Name
	}
	if provider.Roles != nil {
		roles, err := provider.Roles(*claims)
		if err != nil {
			s.log.WarnContext(ctx, "a sign-up was refused", "provider", provider.Name, "error", cleanText(err.Error(), 500))
			return nil, ErrSignupDisabled
		}
		if err := s.rights.checkRoles(roles); err != nil {
			return nil, fmt.Errorf("provider %s: Roles: %v", provider.Name, err) //nolint:errorlint // it is not about the client's input
		}
		u.Roles = slices.Compact(slices.Sorted(slices.Values(roles)))
	}
	base := usernameOf(provider.Name, claims)
	u.Username = base
	for range 5 {
		u.UsernameKey = UsernameKey(u.Username)
		if identity, err = s.insertSignUp(ctx, provider, claims, u); !inUseUsername(err) {
			return identity, err
		}
		u.Username = base + "-" + strings.ToLower(randomText()[:6])
	}
	return nil, err
}

func (s *Service) insertSignUp(ctx context.Context, provider *providers.Client, claims *providers.Claims, u *db.User) (identity *db.Identity, err error) {
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if err := s.insertUser(ctx, tx, u); err != nil {
			return nil, err
		}
		identity, err = s.insertIdentity(ctx, tx, provider, claims, u.ID)
		return byUser(s.event(ctx, EventUserCreated, u.ID, "", u.Username+", by "+provider.Name)), err
	})
	if conflict, ok := errors.AsType[*db.ConflictError](err); ok && conflict.Index == "users_email" {
		err = ErrIdentityNotLinked // another request has created the user meanwhile
	}
	return identity, err
}

func inUseUsername(err error) bool {
	conflict, ok := errors.AsType[*db.ConflictError](err)
	return ok && conflict.Index == "users_username_key"
}

// insertIdentity stores a new identity of the user.
func (s *Service) insertIdentity(ctx context.Context, tx *db.DB, provider *providers.Client, claims *providers.Claims, userID string) (*db.Identity, error) {
	now := s.timestamp()
	i := &db.Identity{
		ID: db.NewID(db.IdentityID), UserID: userID, Key: db.IdentityKey(provider.Name, claims.Issuer, claims.Subject),
		Provider: provider.Name, Issuer: claims.Issuer, Subject: claims.Subject, Email: emailOf(claims), CreatedAt: now, LastUsedAt: now,
	}
	return i, tx.CreateIdentity(ctx, i)
}

// emailOf returns the address of the claims as it is compared here, or nil if there is none or it is not a bare ASCII address.
func emailOf(c *providers.Claims) *string {
	if checkEmail(c.Email) != nil {
		return nil
	}
	key := EmailKey(c.Email)
	return &key
}

// verifiedEmail is emailOf for an address that the provider has verified.
func verifiedEmail(c *providers.Claims) *string {
	if !c.EmailVerified {
		return nil
	}
	return emailOf(c)
}

// inDomains reports whether an address is in one of the domains; of no domains, it may be in any or absent.
func inDomains(domains []string, email *string) bool {
	if len(domains) == 0 {
		return true
	}
	return email != nil && slices.Contains(domains, (*email)[strings.LastIndexByte(*email, '@')+1:])
}

// usernameOf returns a valid user name that resembles the one at the provider. It may be in use.
func usernameOf(provider string, c *providers.Claims) string {
	const longest = 100 // bytes; a suffix may follow
	for _, name := range []string{c.Username, c.Email} {
		name, _, _ = strings.Cut(name, "@")
		name = strings.Map(func(r rune) rune {
			if checkUsername(string(r)) != nil {
				return -1
			}
			return r
		}, name)
		if name != "" {
			return name[:min(len(name), longest)]
		}
	}
	return provider + "-user"
}

// The methods of proof for log-ins by a provider.

func (p proof) provider() *string {
	if p.identity == nil {
		return nil
	}
	return &p.identity.Provider
}

// detail describes the log-in for its event.
func (p proof) detail() string {
	switch {
	case p.identity != nil:
		return "by " + p.identity.Provider
	case slices.Equal(p.methods, passkeyMethods):
		return "by a passkey"
	}
	return ""
}

// touchIdentity records the use of the identity. It returns db.ErrNotFound if the identity was unlinked meanwhile.
func (p proof) touchIdentity(ctx context.Context, tx *db.DB, now db.Time) error {
	if p.identity == nil {
		return nil
	}
	return tx.TouchIdentity(ctx, p.identity.ID, p.identity.Email, now)
}
