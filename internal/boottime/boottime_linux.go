package boottime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since the machine started, suspension included (CLOCK_BOOTTIME, clock_gettime(2)). Only
// differences within one process mean something: without that clock it counts from the start of the process.
func Now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return monotonic() // as in a sandbox without that clock
	}
	return time.Duration(t.Nano())
}
