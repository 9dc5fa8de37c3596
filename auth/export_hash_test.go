package auth

import "context"

// Hash hashes a password, past the limits of guessing.
func (s *Service) Hash(ctx context.Context, password string) error {
	_, err := s.hasher.hash(ctx, password)
	return err
}
