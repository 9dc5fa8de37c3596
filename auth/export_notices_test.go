package auth

import (
	"errors"
	"time"
)

// HearNotices is what Run does when all changes are known to have arrived.
func (s *Service) HearNotices() { s.sure(time.Now()) }

// LoseNotices is what Run does when changes may have been missed.
func (s *Service) LoseNotices() { s.lost(errors.New("the connection was lost")) }
