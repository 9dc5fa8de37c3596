package boottime

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since the machine started, including suspension (CLOCK_BOOTTIME, clock_gettime(2)). If that clock is
// not available, it counts from the start of the process, so only differences within one process are meaningful.
//
// Reading the clock is a system call. So the last reading is used, with the time since then by Go's monotonic clock, until
// it is old or the monotonic and the wall clock have moved apart, as they do during suspension. The error is below a
// millisecond.
func Now() time.Duration {
	now := time.Now()
	if r := last.Load(); r != nil {
		elapsed := now.Sub(r.at)
		apart := now.Round(0).Sub(r.at.Round(0)) - elapsed // without their monotonic readings, these are wall times
		if elapsed < maxAge && apart.Abs() < tolerance {
			return r.boot + elapsed
		}
	}
	return read()
}

// A reading is what the clock was at a time.
type reading struct {
	boot time.Duration
	at   time.Time
}

var last atomic.Pointer[reading]

const (
	maxAge    = 100 * time.Millisecond
	tolerance = time.Millisecond
)

func read() time.Duration {
	before := time.Now()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return monotonic() // a sandbox may not have the clock
	}
	boot := time.Duration(t.Nano())
	if time.Since(before) < tolerance { // and the process was not interrupted in between
		last.Store(&reading{boot, before})
	}
	return boot
}
