//go:build unix

package threats

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/graph"
)

// BenchmarkAttack measures the most expensive attacks over HTTP, and for comparison the same documents against gqlgen as
// its documentation sets it up: "unguarded". Where that would take too long, or end the process, the attack is
// smaller there, and the name says so. The figures have the client in them; passwords are slowed down on both, by
// the service.
func BenchmarkAttack(b *testing.B) {
	f := startFrontWithUsers(b, dbtest.SQLite(b))
	es := graph.NewExecutableSchema(&graph.Resolver{Auth: f.Auth, DB: f.DB})
	usual := handler.New(es)
	usual.AddTransport(transport.POST{})
	usual.Use(extension.Introspection{})
	usual.Use(extension.FixedComplexityLimit(1000))
	unguarded := httptest.NewServer(f.Auth.Middleware(usual))
	b.Cleanup(unguarded.Close)

	login := `#: login(input: {username: "alice", password: "wrong"}) { accessToken } `
	logins := func(n int) string { return "mutation {" + numbered("a"+login, n) + "}" }
	hidden := "mutation {...F0}"
	for i := range 20 {
		hidden += fmt.Sprintf("fragment F%d on Mutation {%s ...F%d}", i, strings.ReplaceAll("a"+login, "#", fmt.Sprint(i)), i+1)
	}
	hidden += "fragment F20 on Mutation {__typename}"
	lists := func(n int) string { return "{a(b:" + strings.Repeat("[", n) }
	for _, a := range []struct {
		name      string
		document  string
		smaller   string // for the unguarded server; "" for the same
		unguarded string // says how much smaller
	}{
		{"T1 50 passwords by aliases", logins(50), "", ""},
		{"T3 20 passwords in fragments", hidden, "", ""},
		{"T18 a password of 900 kB", `mutation { login(input: {username: "alice", password: "` + strings.Repeat("p", 900_000) + `"}) { accessToken } }`, "", ""},
		{"T96 20,000 aliases", "{" + numbered("a#:__typename ", 20_000) + "}", "", ""},
		{"T98 10,000 directives", "{__typename" + strings.Repeat("@aa", 10_000) + "}", "", ""},
		{"T99 10,000 repeated fields", "{me{" + strings.Repeat("id ", 10_000) + "}}", "{me{" + strings.Repeat("id ", 5_000) + "}}", ", 5,000"},
		{"T101 2^28 fields by fragments", fragmentBomb(28), fragmentBomb(20), ", 2^20"},
		{"T103 a million nested lists", lists(1_000_000), lists(200_000), ", 200,000"},
		{"T105 3,000 unknown fields", "{" + numbered("x# ", 3000) + "}", "", ""},
		{"T108 a body of 64 MiB", "{__typename}#" + strings.Repeat("x", 64<<20), "", ""},
	} {
		b.Run(a.name, func(b *testing.B) { attackWith(b, f.URL+"/graphql", a.document) })
		if a.smaller == "" {
			a.smaller = a.document
		}
		b.Run(a.name+"/unguarded"+a.unguarded, func(b *testing.B) { attackWith(b, unguarded.URL, a.smaller) })
	}
}

func attackWith(b *testing.B, url, document string) {
	body, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		b.Fatal(err)
	}
	text, answered := string(body), int64(0)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used := cpuTime(b)
	for b.Loop() {
		resp, err := http.Post(url, "application/json", strings.NewReader(text))
		if err != nil {
			continue // the server hung up on a body that is too large
		}
		n, _ := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		answered += n
	}
	used = cpuTime(b) - used
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(used)/float64(time.Millisecond)/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/(1<<20), "MiB/op")
	b.ReportMetric(float64(answered)/float64(b.N), "answer-B/op")
}
