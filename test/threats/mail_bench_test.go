//go:build unix

package threats

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// onBoth runs a benchmark on each database.
func onBoth(b *testing.B, run func(b *testing.B, url string)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { run(b, dbtest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { run(b, dbtest.Postgres(b)) })
}

// A caller sends operations over connections of its own, and returns the code of the first error.
type caller struct {
	b      testing.TB
	url    string
	client *http.Client
}

func newCaller(b testing.TB, p *post) *caller {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(transport.CloseIdleConnections)
	return &caller{b, p.URL + "/graphql", &http.Client{Transport: transport}}
}

func (c *caller) ask(ip, token, query string, variables map[string]any) (took time.Duration, code string) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		c.b.Error(err)
		return 0, ""
	}
	request, err := http.NewRequest(http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		c.b.Error(err)
		return 0, ""
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "X-Forwarded-For": {ip}}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	start := time.Now()
	response, err := c.client.Do(request)
	if err != nil {
		c.b.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	took = time.Since(start)
	var result struct {
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err != nil || json.Unmarshal(text, &result) != nil {
		c.b.Errorf("%v: %s", err, text)
	}
	if len(result.Errors) > 0 {
		code = result.Errors[0].Extensions.Code
	}
	return took, code
}

// percentile returns the p-th percentile in milliseconds.
func percentile(all []time.Duration, p int) float64 {
	slices.Sort(all)
	return float64(all[min(len(all)*p/100, len(all)-1)].Microseconds()) / 1000
}

// BenchmarkFloodOfMail asks for a mail to each of b.N addresses, from as many clients, 16 at a time, and has the outbox send
// them to an SMTP server. Meanwhile a user asks for me twenty times a second. CPU and memory are those of the process, which
// has the load and the SMTP server in it.
func BenchmarkFloodOfMail(b *testing.B) {
	onBoth(b, func(b *testing.B, url string) {
		p := startPost(b, url)
		c := newCaller(b, p)
		alice, _, _ := p.Session("alice", servertest.AlicePassword)
		var before, after syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
			b.Fatal(err)
		}
		var latencies []time.Duration
		var peak uint64
		stop, watched := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watched)
			ticker := time.NewTicker(50 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-stop:
					return
				case <-ticker.C:
				}
				took, code := c.ask("192.0.2.1", alice, `{ me { id } }`, nil)
				if code != "" && code != "UNAUTHENTICATED" { // the token may expire in a long run: the time is the same
					b.Errorf("me: %s", code)
				}
				latencies = append(latencies, took)
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse+m.StackInuse)
			}
		}()
		b.ResetTimer()
		start := time.Now()
		var next atomic.Int64
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
					ip := fmt.Sprintf("100.%d.%d.%d", 64+n>>16, n>>8&255, n&255)
					if _, code := c.ask(ip, "", askReset, map[string]any{"e": fmt.Sprintf("user%d@example.net", n)}); code != "" {
						b.Errorf("request %d: %s", n, code)
						return
					}
				}
			})
		}
		all.Wait()
		asked := time.Since(start)
		for {
			next, err := p.DB.NextMailAt(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if next == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		sent := time.Since(start)
		b.StopTimer()
		close(stop)
		<-watched
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
			b.Fatal(err)
		}
		if n := len(p.box.All("")); n != b.N {
			b.Errorf("%d mails for %d requests", n, b.N)
		}
		cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
		b.ReportMetric(asked.Seconds(), "s-asked")
		b.ReportMetric(sent.Seconds(), "s-sent")
		b.ReportMetric(cpu.Seconds(), "s-CPU")
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		if len(latencies) > 0 {
			b.ReportMetric(percentile(latencies, 50), "me-median-ms")
			b.ReportMetric(percentile(latencies, 95), "me-p95-ms")
			b.ReportMetric(percentile(latencies, 100), "me-max-ms")
		}
	})
}

// BenchmarkKnownAndUnknown measures each flow that takes an address, b.N times for one that an account has and for one that
// none has, in random order in one run. T11, T13.
func BenchmarkKnownAndUnknown(b *testing.B) {
	onBoth(b, func(b *testing.B, url string) {
		p := startPost(b, url, func(s *servertest.Settings) { s.Argon2 = auth.DefaultArgon2 })
		c := newCaller(b, p)
		for _, flow := range []struct{ name, query, code string }{
			{"register", registerAddress, ""},
			{"requestPasswordReset", askReset, ""},
			{"requestEmailLogin", askLogin, ""},
			{"loginByEmail-wrong-code", `mutation($e: String!) { loginByEmail(input: {email: $e, code: "BCDF-GHJK"}) { accessToken } }`, "INVALID_LINK"},
			{"login-wrong-password", `mutation($e: String!) { login(input: {username: $e, password: "not the password"}) { accessToken } }`, "INVALID_CREDENTIALS"},
		} {
			b.Run(flow.name, func(b *testing.B) {
				times := map[string][]time.Duration{}
				for n := 0; b.Loop(); n++ {
					p.Clock.Advance(25 * time.Hour) // so that no limit delays
					emails := []string{"alice@example.com", fmt.Sprintf("nobody%d@example.com", n)}
					kinds := []string{"known", "unknown"}
					for _, i := range rand.Perm(2) {
						took, code := c.ask(fmt.Sprintf("100.64.%d.%d", n>>8&255, n&255), "", flow.query, map[string]any{"e": emails[i]})
						if code != flow.code {
							b.Fatalf("%s: %s", emails[i], code)
						}
						times[kinds[i]] = append(times[kinds[i]], took)
					}
				}
				for kind, all := range times {
					b.ReportMetric(percentile(all, 50), kind+"-median-ms")
					b.ReportMetric(percentile(all, 95), kind+"-p95-ms")
				}
			})
		}
	})
}
