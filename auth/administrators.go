package auth

import "context"

// HasAdministrator reports whether there is a user who administers and is not disabled.
func (s *Service) HasAdministrator(ctx context.Context) (bool, error) {
	n, err := s.db.CountUsers(ctx, RoleAdmin)
	return n > 0, err
}
