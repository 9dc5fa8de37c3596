// Package boottime measures time that no change of the wall clock affects and that also passes while the machine
// is suspended. It does not tell the time of day.
//
// Go's monotonic clock stops during suspension (CLOCK_MONOTONIC on Linux), so a lease that is measured with it
// lasts longer on a virtual machine that was suspended and resumed.
package boottime

import "time"

// start is what the fallback of Now counts from; time.Since reads the monotonic clock.
var start = time.Now()

func monotonic() time.Duration { return time.Since(start) }
