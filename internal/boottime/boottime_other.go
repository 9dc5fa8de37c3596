//go:build !linux

package boottime

import "time"

// Now returns the time since the process started, by Go's monotonic clock. Only differences within one process are
// meaningful.
func Now() time.Duration { return monotonic() }
