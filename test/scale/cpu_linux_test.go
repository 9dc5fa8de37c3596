package scale

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the CPU time that this process has used and, if backend is not 0, that process.
func cpuTime(t *testing.T, backend int) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	used := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if backend == 0 {
		return used
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", backend)) // begins with nanoseconds
	if err != nil {
		t.Fatal(err)
	}
	var ns int64
	if _, err := fmt.Sscan(string(stat), &ns); err != nil {
		t.Fatal(err)
	}
	return used + time.Duration(ns)
}
