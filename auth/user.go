package auth

import (
	"context"
	"errors"
	"slices"

	"github.com/latchkey/latchkey/db"
)

// CreateUserInput describes a new user.
type CreateUserInput struct {
	redacted
	Username string
	Email    *string
	Name     *string
	Password *string   // if nil, the user cannot log in by password until one is set
	Roles    []db.Role // RoleUser if nil
}

// CreateUser creates a user. The viewer needs users:write and every scope that the new user gets. An API token cannot set a
// password or grant scopes: it could then log in as that user and get a session.
func (s *Service) CreateUser(ctx context.Context, in CreateUserInput) (*db.User, error) {
	v := ViewerFrom(ctx)
	if err := v.Require([]string{"users:write"}); err != nil {
		return nil, err
	}
	if in.Roles == nil {
		in.Roles = []db.Role{RoleUser}
	}
	if in.Password != nil {
		if err := v.noAPIToken(); err != nil {
			return nil, err
		}
	}
	u := &db.User{ID: db.NewID(db.UserID), CreatedAt: s.timestamp()}
	u.UpdatedAt = u.CreatedAt
	err := UserChanges{Username: &in.Username, Email: &in.Email, Name: &in.Name, Roles: &in.Roles}.apply(u, s.rights)
	if err == nil {
		err = s.mayGive(ctx, u)
	}
	if err != nil {
		return nil, err
	}
	if in.Password != nil {
		if u.PasswordHash, err = s.newPasswordHash(ctx, "password", *in.Password, u); err != nil {
			return nil, err
		}
	}
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if len(s.rights.Granted(u.Roles)) > 0 {
			if err := s.recent(ctx, tx); err != nil {
				return nil, err
			}
		}
		return s.event(ctx, EventUserCreated, u.ID, "", u.Username), s.insertUser(ctx, tx, u)
	})
	if err != nil {
		return nil, inUse(err)
	}
	return u, nil
}

// CreateFirstAdministrator creates the user admin with the password if there are no users, and reports whether it did.
func (s *Service) CreateFirstAdministrator(ctx context.Context, password string) (created bool, err error) {
	now := s.timestamp()
	u := &db.User{ID: db.NewID(db.UserID), Username: "admin", UsernameKey: "admin", Roles: []db.Role{RoleAdmin}, CreatedAt: now, UpdatedAt: now}
	if u.PasswordHash, err = s.newPasswordHash(ctx, "password", password, u); err != nil {
		return false, err
	}
	err = s.db.Transact(ctx, func(tx *db.DB) error {
		if err := tx.LockAdministrators(ctx); err != nil {
			return err
		}
		n, err := tx.CountUsers(ctx, "")
		if err != nil || n > 0 {
			return err
		}
		created = true
		if err := s.insertUser(ctx, tx, u); err != nil {
			return err
		}
		return s.recordIn(ctx, tx, s.event(ctx, EventUserCreated, u.ID, "", u.Username))
	})
	s.webhooks.Wake()
	return created && err == nil, err
}

// insertUser stores a user and runs the program's hook.
func (s *Service) insertUser(ctx context.Context, tx *db.DB, u *db.User) error {
	if err := tx.CreateUser(ctx, u); err != nil || s.userCreated == nil {
		return err
	}
	return s.userCreated(ctx, tx, u)
}

// UserChanges are changes of a user. A nil field is left unchanged.
type UserChanges struct {
	Username *string
	Email    **string // a pointer to nil removes it
	Name     **string
	Roles    *[]db.Role
}

// apply validates the changes and applies them.
func (c UserChanges) apply(u *db.User, rights *Rights) error {
	if c.Username != nil {
		if err := checkUsername(*c.Username); err != nil {
			return err
		}
		u.Username, u.UsernameKey = *c.Username, UsernameKey(*c.Username)
	}
	if c.Email != nil {
		before := u.Email
		if u.Email = *c.Email; u.Email != nil {
			if err := checkEmail(*u.Email); err != nil {
				return err
			}
			key := EmailKey(*u.Email)
			u.Email = &key
		}
		if before == nil || u.Email == nil || *before != *u.Email {
			u.EmailVerifiedAt = nil
		}
	}
	if c.Name != nil {
		if u.Name = *c.Name; u.Name != nil {
			if err := checkText("name", *u.Name, 1, maxName); err != nil {
				return err
			}
		}
	}
	if c.Roles != nil {
		if err := rights.checkRoles(*c.Roles); err != nil {
			return err
		}
		u.Roles = slices.Compact(slices.Sorted(slices.Values(*c.Roles)))
	}
	return nil
}

// UpdateUser changes a user, as an administrator. Where links that are sent by mail open accounts, API tokens cannot change an
// address, and administrators not their own. The former address is told. A change of roles invalidates access tokens with the
// old scopes; clients refresh and continue.
func (s *Service) UpdateUser(ctx context.Context, userID string, changes UserChanges) (updated *db.User, err error) {
	if changes.Email != nil && s.opensByMail() {
		if err := ViewerFrom(ctx).noAPIToken(); err != nil {
			return nil, err
		}
		if ViewerFrom(ctx).ID() == userID && s.available(s.accounts.ChangeEmail, "") == nil { // see SetUserPassword
			return nil, &ForbiddenError{Message: "use changeEmail for your own address"}
		}
	}
	err = s.administer(ctx, userID, func(tx *db.DB, u *db.User, now db.Time) (*db.Event, error) {
		kind, before, old := EventUserUpdated, slices.Clone(u.Roles), u.Email
		if err := changes.apply(u, s.rights); err != nil {
			return nil, err
		}
		if !slices.Equal(before, u.Roles) {
			kind = EventRolesChanged
			if err := s.mayGive(ctx, u); err != nil {
				return nil, err
			}
			if !s.rights.Granted(before).include(s.rights.Granted(u.Roles)) { // removing rights does not need a recent password
				if err := s.recent(ctx, tx); err != nil {
					return nil, err
				}
			}
		}
		if changes.Email != nil { // mail to the address may be a way to log in
			if err := s.recent(ctx, tx); err != nil {
				return nil, err
			}
		}
		updated, u.UpdatedAt = u, now
		if changes.Email != nil {
			if err := errors.Join(tx.RevokeLinks(ctx, u.ID, "", now), s.tellFormerAddress(ctx, tx, u, old)); err != nil {
				return nil, err
			}
		}
		return s.event(ctx, kind, u.ID, "", ""), inUse(tx.SaveUser(ctx, u))
	})
	return updated, err
}

// tellFormerAddress tells a user's former address by mail that an administrator has changed it. The mail has no link that
// undoes the change, and does not name the new address. The former mailbox may be stolen, or belong to somebody else by now:
// a person who reads mail there must not be able to get into the account.
func (s *Service) tellFormerAddress(ctx context.Context, tx *db.DB, u *db.User, former *string) error {
	if s.accounts.Send == nil || former == nil || u.Email != nil && *u.Email == *former {
		return nil
	}
	m := s.newMail(mailEmailReplaced, *former, u.Locale, u.ID)
	m.Data.Username = u.Username
	return tx.CreateMail(ctx, m)
}

// opensByMail reports whether the owner of a user's address can get into the account by links that are sent to it.
func (s *Service) opensByMail() bool {
	return s.accounts.Send != nil && (s.accounts.PasswordReset || s.accounts.EmailLogin)
}

// DisableUser disables a user: all sessions end, and API tokens are revoked. With keepTokens, API tokens are only suspended
// until the user is enabled.
func (s *Service) DisableUser(ctx context.Context, userID string, keepTokens bool) (disabled *db.User, err error) {
	err = s.administer(ctx, userID, func(tx *db.DB, u *db.User, now db.Time) (*db.Event, error) {
		disabled = u
		if u.DisabledAt != nil {
			return nil, nil
		}
		u.DisabledAt, u.UpdatedAt = &now, now
		if err := tx.SaveUser(ctx, u); err != nil {
			return nil, err
		}
		ended, err := endEverything(ctx, tx, u.ID, endedByDisable, now, !keepTokens)
		return s.event(ctx, EventUserDisabled, u.ID, "", ended.String()), err
	})
	return disabled, err
}

// EnableUser lets a disabled user log in again. Ended sessions and revoked API tokens stay so.
func (s *Service) EnableUser(ctx context.Context, userID string) (enabled *db.User, err error) {
	err = s.administer(ctx, userID, func(tx *db.DB, u *db.User, now db.Time) (*db.Event, error) {
		enabled = u
		if err := s.recent(ctx, tx); err != nil {
			return nil, err
		}
		u.DisabledAt, u.UpdatedAt = nil, now
		return s.event(ctx, EventUserEnabled, u.ID, "", ""), tx.SaveUser(ctx, u)
	})
	return enabled, err
}

// SetUserPassword sets another user's password without the old one, ends the user's sessions, removes the links to accounts at
// providers and, unless keepTokens, revokes the API tokens.
func (s *Service) SetUserPassword(ctx context.Context, userID, password string, keepTokens bool) (changed *db.User, err error) {
	if err := ViewerFrom(ctx).noAPIToken(); err != nil {
		return nil, err
	}
	if ViewerFrom(ctx).ID() == userID { // the thief of a session must not be able to lock its owner out
		return nil, &ForbiddenError{Message: "use changePassword for your own password"}
	}
	u, err := s.manageable(ctx, s.db, userID)
	if err != nil {
		return nil, err
	}
	hash, err := s.newPasswordHash(ctx, "password", password, u) // outside the transaction, because it is slow
	if err != nil {
		return nil, err
	}
	err = s.administer(ctx, userID, func(tx *db.DB, u *db.User, now db.Time) (*db.Event, error) {
		changed, u.PasswordHash, u.UpdatedAt = u, hash, now
		err := errors.Join(s.recent(ctx, tx), tx.SaveUser(ctx, u), tx.RevokeLinks(ctx, u.ID, mailUndoEmail, now), tx.RevokeInvitationsBy(ctx, u.ID, now),
			tx.DeleteIdentities(ctx, u.ID), s.notify(ctx, tx, mailPasswordChanged, u))
		if err != nil {
			return nil, err
		}
		ended, err := endEverything(ctx, tx, u.ID, endedByPassword, now, !keepTokens)
		return s.event(ctx, EventPasswordChanged, u.ID, "", "set by an administrator: "+ended.String()), err
	})
	return changed, err
}

// DeleteUser deletes a user with all sessions and API tokens. The user's events are kept, without personal data.
func (s *Service) DeleteUser(ctx context.Context, userID string) error {
	if err := ViewerFrom(ctx).noAPIToken(); err != nil {
		return err
	}
	return s.administer(ctx, userID, func(tx *db.DB, u *db.User, _ db.Time) (*db.Event, error) {
		if err := errors.Join(s.recent(ctx, tx), s.deleteUser(ctx, tx, u)); err != nil {
			return nil, err
		}
		u.Roles = nil // no longer an administrator
		return s.deletionEvent(ctx, u), nil
	})
}

// deleteUser deletes a user with all sessions and API tokens, mails, and the personal data in events. It tells the user by a
// last mail, which is deleted when it is sent.
func (s *Service) deleteUser(ctx context.Context, tx *db.DB, u *db.User) error {
	return errors.Join(tx.DeleteUser(ctx, u.ID, s.timestamp()), tx.ForgetUserInEvents(ctx, u.ID),
		tx.DeleteMailsTo(ctx, u.ID, u.Email), deleteLinksTo(ctx, tx, u.Email), s.notify(ctx, tx, mailAccountDeleted, u))
}

func deleteLinksTo(ctx context.Context, tx *db.DB, email *string) error {
	if email == nil {
		return nil
	}
	return tx.DeleteLinksTo(ctx, *email)
}

// deletionEvent returns the event of a deletion, without personal data of users who delete themselves.
func (s *Service) deletionEvent(ctx context.Context, u *db.User) *db.Event {
	e := s.event(ctx, EventUserDeleted, u.ID, "", "")
	if ViewerFrom(ctx).ID() == u.ID {
		e.IP, e.Device = "", ""
	}
	return e
}

// ChangePassword changes the viewer's own password, ends the viewer's other sessions and, with revokeTokens, revokes the
// viewer's API tokens.
func (s *Service) ChangePassword(ctx context.Context, current, password string, revokeTokens bool) (changed *db.User, ended Ended, err error) {
	u, guess, err := s.provePassword(ctx, "currentPassword", current)
	if err != nil {
		return nil, Ended{}, err
	}
	hash, err := s.newPasswordHash(ctx, "newPassword", password, u)
	if err != nil {
		return nil, Ended{}, err
	}
	sessionID := ViewerFrom(ctx).SessionID
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		now := s.timestamp()
		if changed, err = unchanged(ctx, tx, u); err != nil {
			return nil, err
		}
		changed.PasswordHash, changed.UpdatedAt = hash, now
		err := errors.Join(guess.succeeded(ctx, tx), tx.SaveUser(ctx, changed), s.passwordProved(ctx, tx, u.ID, now),
			tx.RevokeLinks(ctx, u.ID, mailUndoEmail, now), s.notify(ctx, tx, mailPasswordChanged, changed))
		if err != nil {
			return nil, err
		}
		if ended.Sessions, err = tx.EndSessions(ctx, u.ID, sessionID, endedByPassword, now); err != nil {
			return nil, err
		}
		if revokeTokens {
			ended.APITokens, err = tx.RevokeAPITokens(ctx, u.ID, now)
		}
		return s.event(ctx, EventPasswordChanged, u.ID, "", ended.String()), err
	})
	return changed, ended, err
}

// provePassword verifies the viewer's own password. Like a login, it counts as a failed attempt at the account until the
// attempt's method succeeded is called.
func (s *Service) provePassword(ctx context.Context, field, password string) (*db.User, *attempt, error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return nil, nil, err
	}
	if len(password) > maxPasswordBytes {
		return nil, nil, inputError(field, "must have at most %d bytes", maxPasswordBytes)
	}
	if u, err = s.db.UserByID(ctx, u.ID); err != nil { // the viewer may be cached
		return nil, nil, err
	}
	if u.PasswordHash == "" {
		return nil, nil, &ConflictError{Message: "this account has no password: log in again instead, or set one by resetPassword"}
	}
	guess, err := s.attempt(ctx, u.ID, u)
	if err != nil {
		return nil, nil, s.recordThrottled(ctx, u, err)
	}
	ok, _, err := guess.verify(ctx, u.PasswordHash, password)
	if err == nil && !ok {
		err = s.recordFailure(ctx, EventPasswordCheckFailed, u, ViewerFrom(ctx).SessionID)
	}
	return u, guess, err
}

// unchanged returns the current row of the user, in a transaction that depends on the verified password. It returns
// ErrInvalidCredentials if the password was changed meanwhile.
func unchanged(ctx context.Context, tx *db.DB, verified *db.User) (*db.User, error) {
	u, err := tx.UserByID(ctx, verified.ID)
	if err == nil && u.PasswordHash != verified.PasswordHash {
		err = ErrInvalidCredentials
	}
	return u, err
}

func (s *Service) newPasswordHash(ctx context.Context, field, password string, u *db.User) (string, error) {
	if err := checkPassword(field, password, u); err != nil {
		return "", err
	}
	return s.hasher.hash(ctx, password)
}

// User returns the user with the ID, if the viewer may see it.
func (s *Service) User(ctx context.Context, id string) (*db.User, error) {
	if err := db.CheckID(db.UserID, id); err != nil {
		return nil, inputError("id", "must be the ID of a user")
	}
	if err := ViewerFrom(ctx).maySee(id); err != nil {
		return nil, err
	}
	return s.db.UserByID(ctx, id)
}

// UsersByID returns those of the users with the IDs whom the viewer may see, by ID, in one query.
func (s *Service) UsersByID(ctx context.Context, ids []string) (map[string]*db.User, error) {
	var visible []string
	for _, id := range ids {
		if ViewerFrom(ctx).maySee(id) == nil {
			visible = append(visible, id)
		}
	}
	if len(visible) == 0 {
		return nil, nil
	}
	return s.db.UsersByID(ctx, visible)
}

// Users lists users whose user name, e-mail or name contains search, oldest first; see db.Users.
func (s *Service) Users(ctx context.Context, search string, p db.Page) (db.PageOf[db.User], error) {
	if err := ViewerFrom(ctx).Require([]string{"users:read"}); err != nil {
		return db.PageOf[db.User]{}, err
	}
	return s.db.Users(ctx, search, p)
}

// CountUsers counts what Users lists.
func (s *Service) CountUsers(ctx context.Context, search string) (int, error) {
	if err := ViewerFrom(ctx).Require([]string{"users:read"}); err != nil {
		return 0, err
	}
	return s.db.CountUsersMatching(ctx, search)
}

// UserByLogin returns the user with the user name or e-mail. The viewer needs users:read.
func (s *Service) UserByLogin(ctx context.Context, login string) (*db.User, error) {
	if err := ViewerFrom(ctx).Require([]string{"users:read"}); err != nil {
		return nil, err
	}
	return s.db.UserByLogin(ctx, UsernameKey(login), EmailKey(login))
}

// administer runs a change of another user's account in a transaction. The viewer needs users:write and every scope that the
// user has, which prevents privilege escalation by taking over an account with more scopes. There must still be an
// administrator afterwards.
func (s *Service) administer(ctx context.Context, userID string, f func(tx *db.DB, u *db.User, now db.Time) (*db.Event, error)) error {
	return s.change(ctx, userID, func(tx *db.DB) (*db.Event, error) {
		if err := tx.LockAdministrators(ctx); err != nil {
			return nil, err
		}
		u, err := s.manageable(ctx, tx, userID)
		if err != nil {
			return nil, err
		}
		wasAdmin := administers(u)
		e, err := f(tx, u, s.timestamp())
		if err == nil {
			err = administratorsLeft(ctx, tx, wasAdmin && !administers(u))
		}
		return e, err
	})
}

// administratorsLeft returns a ConflictError if an administrator was removed in the transaction, and none is left.
func administratorsLeft(ctx context.Context, tx *db.DB, removed bool) error {
	if !removed {
		return nil
	}
	n, err := tx.CountUsers(ctx, RoleAdmin)
	if err == nil && n == 0 {
		err = &ConflictError{Message: "this is the last administrator"}
	}
	return err
}

func administers(u *db.User) bool { return u.DisabledAt == nil && slices.Contains(u.Roles, RoleAdmin) }

// manageable returns a user that the viewer may change.
func (s *Service) manageable(ctx context.Context, d *db.DB, userID string) (*db.User, error) {
	v := ViewerFrom(ctx)
	if err := v.Require([]string{"users:write"}); err != nil {
		return nil, err
	}
	if err := db.CheckID(db.UserID, userID); err != nil {
		return nil, inputError("id", "must be the ID of a user")
	}
	u, err := d.UserByID(ctx, userID)
	if err != nil {
		return nil, err
	}
	return u, s.mayManage(ctx, u)
}

// mayGive returns nil if the viewer may grant the roles that the user is about to have.
func (s *Service) mayGive(ctx context.Context, u *db.User) error {
	if len(s.rights.Granted(u.Roles)) > 0 {
		if err := ViewerFrom(ctx).noAPIToken(); err != nil {
			return err
		}
	}
	return s.mayManage(ctx, u)
}

// mayManage returns nil if the viewer has every scope that the user has.
func (s *Service) mayManage(ctx context.Context, u *db.User) error {
	theirs := s.rights.Granted(u.Roles)
	if ViewerFrom(ctx).has(theirs) {
		return nil
	}
	return &ForbiddenError{Required: [][]string{theirs}, Message: "this user has or would get scopes that you do not have"}
}
