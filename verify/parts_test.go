package verify

import (
	"fmt"
	"strings"
	"testing"
)

// A complete set that is too long for one event arrives in parts, and takes effect when it is complete. T177.
func TestACompleteSetMayComeInParts(t *testing.T) {
	p := startPeer(t)
	v := p.verifier(Config{APIToken: serviceToken})
	part := func(from int) event {
		var b strings.Builder
		for i := range 40_000 {
			fmt.Fprintf(&b, `,{"sid":"session_01k8x3v5n8e9vbb9f1g2h%05d","until":1900000000}`, from+i)
		}
		return event{"part", `{"sessions":[` + b.String()[1:] + `]}`}
	}
	complete := false
	apply := func(e event, want bool) {
		t.Helper()
		var err error
		if complete, err = v.feed.apply(e, complete); err != nil || complete != want || v.feed.fresh() != want {
			t.Fatalf("%s: complete %v, fresh %v, %v", e.name, complete, v.feed.fresh(), err)
		}
	}
	v.feed.sessions["session_of_before"] = 1
	apply(part(0), false)
	apply(event{"alive", "{}"}, false)
	apply(part(40_000), false)
	apply(event{"revoked", `{"sessions":[{"sid":"session_meanwhile","until":1900000000}]}`}, false)
	apply(event{"complete", "{}"}, true)
	if n := len(v.feed.sessions); n != 80_001 {
		t.Errorf("%d sessions", n)
	}
	v.feed.startSet()
	if complete, err := v.feed.apply(event{"complete", "{}"}, false); !complete || err != nil || len(v.feed.sessions) != 0 {
		t.Errorf("the parts of an earlier connection count: %d, %v", len(v.feed.sessions), err)
	}
	v.feed.limit = 50_000
	_, _ = v.feed.apply(part(0), false)
	if _, err := v.feed.apply(part(40_000), false); err == nil || v.feed.fresh() {
		t.Errorf("more than the bound: %v", err)
	}
}

// Older servers send the set in one event, regardless of its size.
func TestACompleteSetOfAnOlderServerMayBeLong(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, `,{"sid":"session_01k8x3v5n8e9vbb9f1g2h%05d","until":1900000000}`, i)
	}
	e, err := newEventReader(strings.NewReader("event: reset\ndata: {\"sessions\":[" + b.String()[1:] + "]}\n\n")).next()
	if err != nil {
		t.Fatal(err)
	}
	v := startPeer(t).verifier(Config{APIToken: serviceToken})
	if complete, err := v.feed.apply(e, false); !complete || err != nil || len(v.feed.sessions) != 100_000 {
		t.Errorf("%v %v: %d sessions", complete, err, len(v.feed.sessions))
	}
}
