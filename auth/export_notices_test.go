package auth

import (
	"errors"

	"github.com/latchkey/latchkey/internal/boottime"
)

// HearNotices is what Run does when all changes are known to have arrived.
func (s *Service) HearNotices() { s.synced(boottime.Now()) }

// LoseNotices is what Run does when changes may have been missed.
func (s *Service) LoseNotices() { s.disconnected(errors.New("the connection was lost")) }
