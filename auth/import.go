package auth

import (
	"context"
	"strings"

	"github.com/latchkey/latchkey/db"
)

// ImportUserInput describes a user of another program.
type ImportUserInput struct {
	redacted
	Username     string
	Email        *string
	Name         *string
	PasswordHash string   // of bcrypt ("$2a$", "$2b$", "$2y$") or argon2id ("$argon2id$v=19$…"); empty: no login by password until one is set
	Roles        []string // names of roles, in any case; RoleUser if empty
}

// ImportUser makes a user who keeps the password of another program. Only the operator may (see Operator). It does not run
// Options.UserCreated: that program knows the user. If an earlier import of the same user name and hash was interrupted, it
// returns the user whom that one made.
func (s *Service) ImportUser(ctx context.Context, in ImportUserInput) (*db.User, error) {
	if !ViewerFrom(ctx).operator {
		return nil, &ForbiddenError{Message: "only the operator imports users"}
	}
	if err := s.checkHash(in.PasswordHash); err != nil {
		return nil, err
	}
	roles := []db.Role{RoleUser}
	if len(in.Roles) > 0 {
		roles = nil
	}
	for _, name := range in.Roles {
		roles = append(roles, db.Role(strings.ToUpper(name)))
	}
	u := &db.User{ID: db.NewID(db.UserID), PasswordHash: in.PasswordHash, CreatedAt: s.timestamp()}
	u.UpdatedAt = u.CreatedAt
	if err := (UserChanges{Username: &in.Username, Email: &in.Email, Name: &in.Name, Roles: &roles}).apply(u, s.rights); err != nil {
		return nil, err
	}
	err := s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		return s.event(ctx, EventUserCreated, u.ID, "", u.Username), tx.CreateUser(ctx, u)
	})
	if err == nil {
		return u, nil
	}
	if earlier, findErr := s.db.UserByLogin(ctx, u.UsernameKey, ""); findErr == nil && in.PasswordHash != "" && earlier.PasswordHash == in.PasswordHash {
		return earlier, nil
	}
	return nil, inUse(err)
}

// checkHash refuses a hash that no password could be verified against.
func (s *Service) checkHash(hash string) error {
	var err error
	switch {
	case hash == "":
	case isBcrypt(hash):
		var cost int
		cost, err = bcryptCost(hash)
		s.hasher.expectBcrypt(cost)
	default:
		_, _, _, err = parsePHC(hash)
	}
	if err != nil {
		return inputError("passwordHash", "must be of bcrypt with a cost of at most %d, or of argon2id", maxBcryptCost)
	}
	return nil
}
