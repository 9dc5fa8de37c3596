package auth

import (
	"context"
	"errors"

	"github.com/latchkey/latchkey/db"
)

// maxIdentities is how many identities a user can have. The API lists them without pages.
const maxIdentities = 20

// Identities lists a user's identities at providers, if the viewer may see them.
func (s *Service) Identities(ctx context.Context, userID string) ([]*db.Identity, error) {
	if err := ViewerFrom(ctx).maySee(userID); err != nil {
		return nil, err
	}
	return s.db.Identities(ctx, userID)
}

// LinkIdentity links a user at a provider to the viewer, in the session that has started it.
func (s *Service) LinkIdentity(ctx context.Context, in CompleteProviderLoginInput) (identity *db.Identity, err error) {
	v := ViewerFrom(ctx)
	u, err := v.owner()
	if err != nil {
		return nil, err
	}
	provider, claims, err := s.identifyAt(ctx, in, v.SessionID)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if _, err := s.mayChangeFactors(ctx, tx, u.ID); err != nil { // an identity is a way in, too
			return nil, err
		}
		linked, err := tx.Identities(ctx, u.ID)
		if err != nil {
			return nil, err
		}
		if len(linked) >= maxIdentities {
			return nil, &ConflictError{Message: "no more providers can be linked to this account"}
		}
		if identity, err = s.insertIdentity(ctx, tx, provider, claims, u.ID); err != nil {
			return nil, err
		}
		return s.event(ctx, EventIdentityLinked, u.ID, identity.ID, provider.Name), s.notifyOf(ctx, tx, mailAccountChanged, u, "an account at "+provider.Label+" was linked")
	})
	if errors.Is(identityConflict(err), errChanged) {
		err = &ConflictError{Message: "this account at " + provider.Label + " is linked already, here or to another user"}
	}
	return identity, err
}

// UnlinkIdentity removes an identity of the viewer or of a user whom the viewer may manage. Viewers keep a way to log in.
// Sessions that have begun by the identity stay.
func (s *Service) UnlinkIdentity(ctx context.Context, id string) (identity *db.Identity, err error) {
	if err := ViewerFrom(ctx).noAPIToken(); err != nil {
		return nil, err
	}
	if err := db.CheckID(db.IdentityID, id); err != nil {
		return nil, inputError("id", "must be the ID of an identity")
	}
	if identity, err = s.db.Identity(ctx, id); err != nil {
		return nil, err
	}
	if err := s.mayEnd(ctx, identity.UserID); err != nil {
		return nil, err
	}
	err = s.change(ctx, identity.UserID, func(tx *db.DB) (*db.Event, error) {
		if err := errors.Join(s.recent(ctx, tx), tx.DeleteIdentity(ctx, identity.UserID, id)); err != nil {
			return nil, err
		}
		return s.event(ctx, EventIdentityUnlinked, identity.UserID, id, identity.Provider), s.keepsWayIn(ctx, tx, identity.UserID)
	})
	return identity, err
}

// keepsWayIn returns an error if viewers would lock themselves out. Administrators may do it to others, since they can set
// passwords.
func (s *Service) keepsWayIn(ctx context.Context, tx *db.DB, userID string) error {
	if ViewerFrom(ctx).ID() != userID {
		return nil
	}
	u, err := tx.UserByID(ctx, userID)
	if err != nil {
		return err
	}
	ways, err := s.waysIn(ctx, tx, u)
	if err == nil && ways == 0 {
		err = &ConflictError{Message: "this is the last way to log in to your account: set a password, link another provider or add a passkey before"}
	}
	return err
}

// waysIn counts the ways in which a user can log in: the password, mail, identities at providers that are configured, and
// passkeys that log in alone.
func (s *Service) waysIn(ctx context.Context, tx *db.DB, u *db.User) (ways int, err error) {
	if u.PasswordHash != "" {
		ways++
	}
	if u.Email != nil && s.opensByMail() {
		ways++
	}
	linked, err := tx.Identities(ctx, u.ID)
	for _, identity := range linked {
		if s.providers.named(identity.Provider) != nil {
			ways++
		}
	}
	if err != nil || s.passkeys.available(true) != nil {
		return ways, err
	}
	owned, err := tx.Passkeys(ctx, u.ID)
	for _, p := range owned {
		if p.LogsIn {
			ways++
		}
	}
	return ways, err
}

// ProviderLogoutURL returns where the browser can end the session at the provider by which the viewer's session has begun,
// or nil if there is no such page. The provider sends the user back to redirectURI, if it is given. The viewer's session may
// have ended just now.
func (s *Service) ProviderLogoutURL(ctx context.Context, redirectURI *string) (*string, error) {
	to := ""
	if redirectURI != nil {
		to = *redirectURI
	}
	if to != "" && !s.providers.allows(to) {
		return nil, notRedirectable("redirectUri")
	}
	session, err := s.db.Session(ctx, ViewerFrom(ctx).SessionID)
	if errors.Is(err, db.ErrNotFound) || err == nil && session.Provider == nil {
		return nil, nil //nolint:nilnil // there is nowhere to go
	}
	if err != nil {
		return nil, err
	}
	provider := s.providers.named(*session.Provider)
	if provider == nil {
		return nil, nil //nolint:nilnil // as above
	}
	u, err := provider.LogoutURL(ctx, to)
	if err != nil {
		return nil, s.providerError(ctx, provider, err)
	}
	return nilIfEmpty(u), nil
}
