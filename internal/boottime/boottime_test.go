package boottime

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestNowAdvancesWithTime(t *testing.T) {
	before := Now()
	time.Sleep(20 * time.Millisecond)
	if elapsed := Now() - before; elapsed < 20*time.Millisecond || elapsed > 5*time.Second {
		t.Errorf("20 ms took %v", elapsed)
	}
}

// /proc/uptime counts suspension too (proc_uptime(5)).
func TestNowIsTheTimeSinceBootOnLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc/uptime")
	}
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Skip(err)
	}
	seconds, err := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	if d := Now() - time.Duration(seconds*float64(time.Second)); d < -time.Second || d > 5*time.Second {
		t.Skipf("/proc/uptime is virtual here: it differs by %v", d)
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}
