// Package boottime is a clock that changes of the wall clock do not affect, and that keeps running while the machine is
// suspended. It does not give the time of day.
//
// Go's monotonic clock stops during suspension (CLOCK_MONOTONIC on Linux), so a timeout measured with it lasts longer on a
// virtual machine that was suspended and resumed.
package boottime

import "time"

// start is the zero of the fallback clock; time.Since reads the monotonic clock.
var start = time.Now()

func monotonic() time.Duration { return time.Since(start) }
