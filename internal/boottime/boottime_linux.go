package boottime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since the machine started, including suspension (CLOCK_BOOTTIME, clock_gettime(2)). If that clock is
// not available, it counts from the start of the process, so only differences within one process are meaningful.
func Now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return monotonic() // a sandbox may not have the clock
	}
	return time.Duration(t.Nano())
}
