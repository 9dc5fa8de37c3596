package app

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapGrowth is how many bytes are allocated at least between two collections of garbage. Without it a small server, whose
// heap is a few MiB, collects some hundred times a second under load.
const heapGrowth = 32 << 20

// growHeap applies heapGrowth from now on, unless the environment sets GOGC. The runtime's default, to collect when the heap
// has doubled, holds for larger heaps.
func growHeap() {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := 100
	var adjust func()
	adjust = func() {
		metrics.Read(live)
		if wanted := gcPercent(live[0].Value.Uint64()); wanted > percent*11/10 || wanted < percent*9/10 {
			debug.SetGCPercent(wanted)
			percent = wanted
		}
		runtime.SetFinalizer(new([16]byte), func(*[16]byte) { adjust() }) // runs after the next collection
	}
	adjust()
}

// gcPercent returns the GOGC for a heap with this many bytes alive.
func gcPercent(live uint64) int {
	return int(min(max(heapGrowth*100/max(live, 1), 100), 1000))
}
