package app

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// A writes buffer records what is written at once.
type writes struct {
	mu  sync.Mutex
	all []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(p))
	return len(p), nil
}

func (w *writes) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.all, "")
}

// Who follows the log must see a line at once on a quiet server, each line under load, and a warning with what led to it.
func TestGatheredLinesAreWrittenAllAndInOrder(t *testing.T) {
	t.Parallel()
	var out writes
	log, flush := (&Settings{LogFormat: "text", LogLevel: "info"}).gatheredLogger(&out)
	log.Info("first")
	if !strings.Contains(out.String(), "msg=first") {
		t.Error("the first line waits")
	}
	for range 1000 {
		log.Info("line")
	}
	log.With("user", "ann").Warn("warning")
	if got := out.String(); strings.Count(got, "msg=line") != 1000 || !strings.HasSuffix(got, "msg=warning user=ann\n") {
		t.Errorf("%d of 1,000 lines stand before the warning: %q", strings.Count(got, "msg=line"), got[max(0, len(got)-200):])
	}
	if len(out.all) > 100 {
		t.Errorf("there were %d writes for 1,002 lines", len(out.all))
	}
	log.WithGroup("g").Info("waits", "n", 1)
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), "g.n=1"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a line is not written without a next one")
		}
	}
	log.Info("last")
	flush()
	if !strings.Contains(out.String(), "msg=last") {
		t.Error("the last line is lost")
	}
}

// A small server must not collect garbage all the time, and a large one must not hold twice its memory.
func TestGarbageIsCollectedAfterSomeGrowth(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 1000, 1 << 20: 1000, 8 << 20: 400, 32 << 20: 100, 1 << 30: 100} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d bytes: got %d, want %d", live, got, want)
		}
	}
}
