package verify

import (
	"fmt"
	"hash/crc32"
	"net/http"
	"testing"
	"time"

	"github.com/latchkey/latchkey/token"
)

// madeUp returns an API token with a correct checksum that no server knows.
func madeUp(n int) string {
	body := fmt.Sprintf("%s%030d", token.APIPrefix, n)
	sum, end := crc32.ChecksumIEEE([]byte(body)), ""
	for range 6 {
		end = string(letters[sum%62]) + end
		sum /= 62
	}
	return body + end
}

// Made-up tokens must not exhaust this service's rate limit at the server: valid ones would be UNAVAILABLE. T174.
func TestMadeUpAPITokensLeaveRoomForValidOnes(t *testing.T) {
	p := startPeer(t)
	v := p.running(Config{CacheFor: time.Nanosecond}) // a valid token is introspected each time
	program := apiToken("a")
	p.active(program, nil)
	if got := outcome(v, program); got != "OK" {
		t.Fatal(got)
	}
	start, outcomes := time.Now(), map[Reason]int{}
	for i := range 3000 {
		outcomes[outcome(v, madeUp(i))]++
		if i%300 == 0 {
			if got := outcome(v, program); got != "OK" {
				t.Fatalf("the valid token beside %d made-up ones: %s", i, got)
			}
		}
	}
	granted := unknownBurst + int(time.Since(start).Seconds()*unknownRate) + 1
	if outcomes[Revoked] > granted || outcomes[Revoked]+outcomes["UNAVAILABLE"] != 3000 {
		t.Errorf("%v of 3000, want at most %d asked about", outcomes, granted)
	}
	if got := outcome(v, madeUp(0)); got != "UNAVAILABLE" && got != Revoked {
		t.Errorf("made up, again: %s", got)
	}
}

// Cached answers about made-up tokens must not evict those about valid ones. T174.
func TestMadeUpAPITokensDoNotDriveValidOnesOutOfMemory(t *testing.T) {
	p := startPeer(t)
	v := p.running(Config{CacheFor: time.Hour})
	v.unknownRate.SetBurst(1 << 20)
	v.answers.max, v.refusals.max, v.known.max = 10, 10, 10
	program := apiToken("a")
	p.active(program, nil)
	for i := range 200 {
		if a, b := outcome(v, program), outcome(v, madeUp(i)); a != "OK" || b != Revoked {
			t.Fatal(a, b)
		}
	}
	if n := p.count("introspect"); n != 201 {
		t.Errorf("%d questions, want 201", n)
	}
}

// Introspections of made-up tokens must not occupy all connections to a slow server. T174.
func TestQuestionsAboutUnknownTokensAreFew(t *testing.T) {
	p := startPeer(t)
	v := p.running(Config{CacheFor: time.Nanosecond})
	program := apiToken("a")
	p.active(program, nil)
	outcome(v, program)
	hang := make(chan struct{})
	open := make(chan struct{}, 1000)
	p.set(func() {
		p.introspect = func(_ http.ResponseWriter, token string) bool {
			if token != program {
				open <- struct{}{}
				<-hang
			}
			return false
		}
	})
	defer close(hang)
	for i := range 100 {
		go outcome(v, madeUp(i))
	}
	eventually(t, "asks about unknown tokens", func() bool { return len(open) == unknownConcurrent })
	time.Sleep(50 * time.Millisecond)
	if got := outcome(v, program); got != "OK" || len(open) != unknownConcurrent {
		t.Errorf("the valid token: %s, beside %d open questions", got, len(open))
	}
}
