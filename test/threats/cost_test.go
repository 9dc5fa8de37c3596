//go:build unix

package threats

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// What one request may cost: T96 to T113. Getrusage, which tells the processor's time, is Unix's.

// cpuTime is what the process has used of the processor so far.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// wantCheap fails the test if an attack costs more of the processor than a refusal may. A second is generous: the
// figure has the client in it, the race detector multiplies it, and what is unguarded takes many seconds.
func wantCheap(t *testing.T, what string, attack func()) {
	t.Helper()
	before := cpuTime(t)
	attack()
	if used := cpuTime(t) - before; used > 8*time.Second {
		t.Errorf("%s took %v of the processor", what, used)
	}
}

// An attack is a document and the codes that may refuse it: which limit is met first is no promise.
type attack struct{ document, codes string }

// refuses tries attacks by each transport, and fails the test unless each is refused, with a code or by closing
// the socket for a message that is too large.
func (f *front) refuses(t *testing.T, attacks map[string]attack) {
	t.Helper()
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	for what, a := range attacks {
		wantCheap(t, what, func() {
			for transport, r := range f.AskByEach(t, alice, a.document) {
				what := what + " by " + transport
				wantHarmless(t, what, r)
				tooLarge := transport == "WebSocket" && len(a.document) > 60<<10 && (strings.HasPrefix(r.Body, "closed 1009") || strings.HasPrefix(r.Body, "error "))
				if code, _, _ := strings.Cut(r.Code(), " "); !tooLarge && (code == "" || !strings.Contains(a.codes, code) || r.Data != nil) {
					t.Errorf("%s: %d, code %q, want %s: %.300s", what, r.Status, r.Code(), a.codes, r.Body)
				}
			}
		})
	}
	f.alive(t)
}

const (
	tooComplex = "QUERY_TOO_COMPLEX"
	unparsed   = "GRAPHQL_PARSE_FAILED PAYLOAD_TOO_LARGE"
	invalid    = "GRAPHQL_VALIDATION_FAILED"
	bulky      = tooComplex + " " + unparsed
)

// numbered repeats a text with the numbers from 0 on in it.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
	}
	return b.String()
}

// nest is a field in itself, n deep.
func nest(open, inner string, n int) string {
	return strings.Repeat(open+"{", n) + inner + strings.Repeat("}", n)
}

// fragmentBomb doubles its fields with each level.
func fragmentBomb(levels int) string {
	var b strings.Builder
	b.WriteString("{...F0}")
	for i := range levels {
		fmt.Fprintf(&b, "fragment F%d on Query{...F%d ...F%d}", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on Query{__typename}", levels)
	return b.String()
}

// T98. T99. T100. T101. T102. T103. T104. T105, T162.
func TestT096_ADocumentThatAsksForTooMuchIsRefusedByEachTransport(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	f.refuses(t, map[string]attack{
		"T96 101 aliases":                   {"{" + numbered("a#:__typename ", 101) + "}", tooComplex},
		"T96 20,000 aliases":                {"{" + numbered("a#:__typename ", 20_000) + "}", bulky},
		"T96 60 aliases of a list":          {"{" + numbered("a#:users(first:100){nodes{id}}", 60) + "}", tooComplex},
		"T96 a page in each item of a page": {"{users(first:100){nodes{sessions(first:100){nodes{id}}}}}", tooComplex},

		"T98 10 unknown directives":        {"{__typename" + strings.Repeat("@aa", 10) + "}", invalid},
		"T98 30 directives":                {"{__typename" + strings.Repeat("@skip(if:false)", 30) + "}", tooComplex},
		"T98 10,000 directives":            {"{__typename" + strings.Repeat("@aa", 10_000) + "}", tooComplex},
		"T98 30 on a variable":             {"query($a:Int" + strings.Repeat("@aa", 30) + "){__typename}", tooComplex},
		"T98 30 on a fragment's own":       {"{...F}fragment F on Query" + strings.Repeat("@aa", 30) + "{__typename}", tooComplex},
		"T98 300 where no operation goes":  {"{__typename}fragment F on Query" + strings.Repeat("@aa", 300) + "{__typename}", tooComplex},
		"T99 900 repeated fields":          {"{me{" + strings.Repeat("id ", 900) + "}}", tooComplex},
		"T99 1,500 repeated fields":        {"{me{" + strings.Repeat("id ", 1500) + "}}", bulky},
		"T99 10,000 repeated fields":       {"{me{" + strings.Repeat("id ", 10_000) + "}}", bulky},
		"T99 400 overlapping fragments":    {"{me{" + numbered("...F#,", 400) + "}}" + numbered("fragment F# on User{id}", 400), bulky},
		"T99 30 overlapping fragments":     {"{me{" + numbered("...F#,", 30) + "}}" + numbered("fragment F# on User{id id id id id id id id id id id id}", 30), tooComplex},
		"T99 repeated in unused fragments": {"{__typename}fragment F on User{" + strings.Repeat("id ", 900) + "}", tooComplex},
		"T99 in a fragment's second form":  {"{__typename ...F}fragment F on Query{__typename}fragment F on User{" + strings.Repeat("id ", 900) + "}", tooComplex},
		"T99 repeated, ten operations":     {numbered("query Q#{...F}", 10) + "fragment F on Query{me{" + strings.Repeat("id ", 150) + "}}", tooComplex},

		"T100 a fragment in itself":    {"{...A}fragment A on Query{__typename ...A}", invalid},
		"T100 two in each other":       {"{...A}fragment A on Query{...B}fragment B on Query{...A}", invalid},
		"T100 a ring of 30":            {"{...F0}" + ring(30), invalid},
		"T100 below a field":           {"{me{...A}}fragment A on User{sessions{nodes{id}} ...B}fragment B on User{...A}", invalid},
		"T100 that nobody spreads":     {"{__typename}fragment A on Query{...A}", invalid},
		"T100 by an inline fragment":   {"{...A}fragment A on Query{...{...on Query{...A}}}", invalid},
		"T101 2^28 fields":             {fragmentBomb(28), tooComplex},
		"T101 2^100 fields":            {fragmentBomb(100), bulky},
		"T102 depth 20":                {"{" + nest("me", "id", 20) + "}", tooComplex},
		"T102 depth 20 by fragments":   {"{...F0}" + chain(20), tooComplex},
		"T102 depth 20 by inline ones": {"{" + nest("...{me", "id", 20) + strings.Repeat("}", 20) + "}", tooComplex},
		"T103 50,000 lists":            {"{a(b:" + strings.Repeat("[", 50_000), bulky},
		"T103 a million lists":         {"{a(b:" + strings.Repeat("[", 1_000_000), "PAYLOAD_TOO_LARGE"},
		"T103 900 lists":               {"{a(b:" + strings.Repeat("[", 900) + strings.Repeat("]", 900) + ")}", bulky + " " + invalid},
		"T103 9,000 objects":           {"{a(b:" + strings.Repeat("{a:", 9_000), bulky},
		"T103 50,000 fields":           {strings.Repeat("{a", 50_000), bulky},
		"T103 900 inline fragments":    {strings.Repeat("{...", 450) + "{a" + strings.Repeat("}", 451), bulky + " " + invalid},
		"T103 50,000 types":            {"query($a:" + strings.Repeat("[", 50_000), bulky},
		"T103 900 types":               {"query($a:" + strings.Repeat("[", 450) + "Int" + strings.Repeat("]", 450) + "){__typename}", bulky + " " + invalid},
		"T104 900 kB of commas":        {"{__typename" + strings.Repeat(",", 900_000) + "}", unparsed},
		"T104 900 kB of comments":      {"{__typename" + strings.Repeat("#\n", 450_000) + "}", unparsed},
		"T104 a comment of 900 kB":     {"{__typename}#" + strings.Repeat("x", 900_000), unparsed},
		"T104 a name of 900 kB":        {"{" + strings.Repeat("x", 900_000) + "}", unparsed},
		"T104 a number of 900 kB":      {"{users(first:" + strings.Repeat("9", 900_000) + "){totalCount}}", unparsed},
		"T104 a name of 10 kB":         {"{" + strings.Repeat("x", 10_000) + "}", invalid},
		"T104 a type of 10 kB":         {"query($a:" + strings.Repeat("x", 10_000) + "){__typename}", invalid},
		"T104 a text of 21,000 quotes": {`{me(x:"""` + strings.Repeat(`\"""`, 7_000) + `"""){id}}`, invalid},
		"T105 3,000 unknown fields":    {"{" + numbered("x# ", 3000) + "}", bulky},
		"T105 400 unknown fields":      {"{me{" + numbered("x# ", 400) + "}}", invalid},
		"T105 3,000 unknown types":     {"query(" + numbered("$a#:T# ", 3000) + "){__typename}", bulky},
		"T105 300 unknown types":       {"query(" + numbered("$a#:T# ", 240) + "){__typename}", invalid},
		"T105 300 unknown variables":   {"{users(" + numbered("a#:$v# ", 190) + "){totalCount}}", invalid},
		"T105 300 unknown fragments":   {"{" + numbered("...F# ", 190) + "}", invalid},
	})
}

func ring(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Query{...F%d}", i, (i+1)%n)
	}
	return b.String()
}

// chain is n fragments, each a level deeper.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Query{me{...F%d}}", i, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on Query{__typename}", n)
	return b.String()
}

func TestT097_AnArrayOfOperationsDoesNotRun(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	one := `{"query":"mutation { createApiToken(input: {name: \"x\"}) { token } }"}`
	for _, n := range []int{1, 2, 10, 1000} {
		batch := "[" + strings.Repeat(one+",", n-1) + one + "]"
		what := fmt.Sprint(n)
		wantCheap(t, what, func() {
			for _, accept := range []string{servertest.GraphQLResponse, "text/event-stream"} {
				r := f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "Accept": {accept}, "Authorization": {"Bearer " + alice}}, batch)
				wantHarmless(t, what, r)
				if r.Status != http.StatusBadRequest || !strings.Contains(r.Body, "BATCHING_NOT_SUPPORTED") {
					t.Errorf("%d by %s: %d %.300s", n, accept, r.Status, r.Body)
				}
			}
		})
	}
	client := f.Dial(t, "graphql-transport-ws")
	client.Initialise(alice)
	client.Send(`{"id":"1","type":"subscribe","payload":[` + one + "," + one + `]}`)
	if got := client.Receive(6 * time.Second); strings.Contains(got, `"data"`) {
		t.Errorf("by WebSocket: %s", got)
	}
	if n := f.Ask(alice, `{ me { apiTokens { totalCount } } }`).Text("me.apiTokens.totalCount"); n != "0" {
		t.Errorf("%s operations ran", n)
	}
}

func TestT106_APageOfAnAbsurdSizeIsRefused(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	for _, argument := range []string{"first", "last"} {
		for _, size := range []string{"1000000", "2147483647", "-1", "0", "101", "2147483648", "-2147483649", "99999999999999999999", "1.5", `"10"`, "true", "[10]", "1e3"} {
			what := argument + ": " + size
			for transport, r := range f.AskByEach(t, admin, "{users("+argument+":"+size+"){totalCount nodes{id}}}") {
				wantHarmless(t, what+" by "+transport, r)
				if r.Code() != "BAD_USER_INPUT "+argument || r.Get("users") != nil {
					t.Errorf("%s by %s: %s", what, transport, r.Body)
				}
			}
			r := f.post(`{"query":"query($n: Int) { users(` + argument + `: $n) { totalCount nodes { id } } }","variables":{"n":` + size + `}}`)
			wantHarmless(t, what+" by variable", r)
			if r.Code() == "" || r.Get("users") != nil {
				t.Errorf("%s by variable: %s", what, r.Body)
			}
		}
	}
}

func TestT107_DeepWideAndHugeJSONIsReadAtOnce(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	variables := func(v string) string { return `{"query":"{ __typename }","variables":` + v + `}` }
	number := func(n string) string {
		return `{"query":"query($n: Int) { users(first: $n) { totalCount } }","variables":{"n":` + n + `}}`
	}
	for what, c := range map[string]struct {
		body  string
		codes string // "" where it may pass
	}{
		"200,000 lists":            {variables(`{"a":` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + `}`), "BAD_REQUEST"},
		"100,000 objects":          {variables(strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)), "BAD_REQUEST"},
		"lists without end":        {variables(`{"a":` + strings.Repeat("[", 900_000)), "BAD_REQUEST"},
		"9,000 lists":              {variables(`{"a":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `}`), ""},
		"90,000 members":           {variables(`{` + numbered(`"a#":0,`, 90_000) + `"z":0}`), "PAYLOAD_TOO_LARGE"},
		"90,000 equal members":     {variables(`{` + strings.Repeat(`"a":{},`, 90_000) + `"a":0}`), "PAYLOAD_TOO_LARGE"},
		"a huge exponent":          {number("1e999999999"), "BAD_USER_INPUT UNAUTHENTICATED"},
		"a huge negative exponent": {number("1e-999999999"), "BAD_USER_INPUT UNAUTHENTICATED"},
		"900,000 digits":           {number(strings.Repeat("9", 900_000)), "BAD_USER_INPUT UNAUTHENTICATED"},
		"Infinity":                 {number("Infinity"), "BAD_REQUEST"},
		"extensions":               {`{"query":"{ __typename }","extensions":{"a":` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + `}}`, "BAD_REQUEST"},
	} {
		wantCheap(t, what, func() {
			r := f.post(c.body)
			wantHarmless(t, what, r)
			if code, _, _ := strings.Cut(r.Code(), " "); c.codes != "" && (code == "" || !strings.Contains(c.codes, code)) || c.codes == "" && code != "" && r.Status != http.StatusBadRequest {
				t.Errorf("%s: %d %.300s", what, r.Status, r.Body)
			}
		})
	}
	f.alive(t)
}

func TestT108_ABodyWithoutEndIsCutOff(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	const head = "POST /graphql HTTP/1.1\r\nHost: latchkey.test\r\nContent-Type: application/json\r\n"
	for what, c := range map[string]string{
		"64 MiB":                       head + "Content-Length: 67108864\r\n\r\n",
		"chunks without end":           head + "Transfer-Encoding: chunked\r\n\r\n",
		"chunks, for an event stream":  head + "Accept: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
		"of a type that is not read":   strings.Replace(head, "application/json", "text/plain", 1) + "Content-Length: 67108864\r\n\r\n",
		"of a path that is not served": strings.Replace(head, "/graphql", "/nowhere", 1) + "Transfer-Encoding: chunked\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = io.WriteString(conn, c)
		block := strings.Repeat(" ", 64<<10)
		if strings.Contains(c, "chunked") {
			block = fmt.Sprintf("%x\r\n%s\r\n", len(block), block)
		}
		sent := 0
		for ; sent < 64<<20; sent += len(block) {
			if _, err := io.WriteString(conn, block); err != nil {
				break
			}
		}
		if sent >= 64<<20 {
			t.Errorf("%s: the server read all of it", what)
		}
		answer, _ := bufio.NewReader(conn).ReadString('\n') // lost where the connection was reset first
		if answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 4") {
			t.Errorf("%s: %s", what, answer)
		}
		conn.Close()
		runtime.ReadMemStats(&after)
		if after.HeapSys > before.HeapSys+64<<20 {
			t.Errorf("%s: the heap grew by %d MiB", what, (after.HeapSys-before.HeapSys)>>20)
		}
		f.alive(t)
	}
}

func TestT109_ACompressedBodyIsNotUnpacked(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	body := strings.Repeat("\x00", 900_000) // never parsed
	for _, encoding := range []string{"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "GZIP", "gzip, gzip", "identity, gzip"} {
		wantCheap(t, encoding, func() {
			for _, accept := range []string{servertest.GraphQLResponse, "text/event-stream"} {
				r := f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {encoding}, "Accept": {accept}}, body)
				wantHarmless(t, encoding, r)
				if r.Status != http.StatusUnsupportedMediaType {
					t.Errorf("%s: %d %.300s", encoding, r.Status, r.Body)
				}
			}
		})
	}
}

// The limit for headers is five seconds and for bodies fifteen, which a test cannot wait for: an unfinished body is
// tried for not holding up others.
func TestT110_ClientsThatDawdleAreCutOffAndHoldUpNobody(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	var dawdlers sync.WaitGroup
	dial := func(text string) net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, text)
		return conn
	}
	for i := range 400 {
		conn := dial("GET / HTTP/1.1\r\nX-A: b\r\n")
		t.Cleanup(func() { conn.Close() })
		if i >= 40 { // the others are silent
			continue
		}
		dawdlers.Go(func() {
			start := time.Now()
			_ = conn.SetReadDeadline(start.Add(7 * time.Second))
			if i%2 == 0 { // a header now and then must not buy time
				go func() {
					for range 12 {
						time.Sleep(500 * time.Millisecond)
						if _, err := io.WriteString(conn, "X-C: d\r\n"); err != nil {
							return
						}
					}
				}()
			}
			if _, err := io.Copy(io.Discard, conn); err != nil && time.Since(start) > 6500*time.Millisecond {
				t.Errorf("a connection without a whole header is open after %v: %v", time.Since(start), err)
			}
		})
	}
	for range 600 { // more than the places among the requests
		conn := dial("POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
		t.Cleanup(func() { conn.Close() })
	}
	for range 5 {
		start := time.Now()
		f.alive(t)
		wantQuick(t, "a query beside those who dawdle", start)
	}
	dawdlers.Wait()
}

// Nothing can be stored under the hash of something else. T164.
func TestT111_AHashOfAnotherDocumentRunsNothing(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	const hash = `"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"}}`
	if r := f.post(`{"query":"{ poison: __typename }",` + hash + `}`); r.Code() != "BAD_USER_INPUT sha256Hash" || r.Data != nil {
		t.Errorf("under a foreign hash: %s", r.Body)
	}
	for what, r := range map[string]*servertest.Reply{
		"by POST": f.post(`{` + hash + `}`),
		"by GET":  f.Send(http.MethodGet, "/graphql?"+url.Values{"extensions": {"{" + strings.TrimPrefix(hash, `"extensions":{`)}}.Encode(), http.Header{}, ""),
	} {
		wantHarmless(t, what, r)
		if r.Code() != "PERSISTED_QUERY_NOT_FOUND" || r.Data != nil {
			t.Errorf("%s: %d %s", what, r.Status, r.Body)
		}
	}
}

func TestT112_ACrowdIsAnsweredOrToldWhenToComeBack(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.InFlight = 64 })
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	var mu sync.Mutex
	statuses := map[int]int{}
	var crowd sync.WaitGroup
	for i := range 600 {
		crowd.Go(func() {
			r := f.from(fmt.Sprintf("10.%d.%d.1", i/200, i%200), alice, `{ me { id username sessions { nodes { id } } } }`)
			wantHarmless(t, "one of 600", r)
			mu.Lock()
			statuses[r.Status]++
			mu.Unlock()
			// UNAVAILABLE says "try again" too, where the database took too long.
			if r.Status == http.StatusOK && r.Code() != "" && r.Code() != "UNAVAILABLE" {
				t.Errorf("one of 600: %s", r.Body)
			}
		})
	}
	crowd.Wait()
	if statuses[200] < 64 || statuses[200]+statuses[503] != 600 {
		t.Errorf("answers: %v", statuses)
	}
	f.alive(t)
}

// T112. Without a limit, everything in flight is answered eventually and holds memory until then. Logins take
// long enough to be in flight together.
func TestT112_RequestsBeyondTheLimitAreRefusedAndTheOthersAnswered(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.InFlight = 4 })
	var mu sync.Mutex
	statuses := map[int]int{}
	var clients sync.WaitGroup
	for i := range 40 {
		clients.Go(func() {
			r := f.guess(fmt.Sprintf("10.0.%d.1", i), fmt.Sprintf("user%d", i), "wrong")
			mu.Lock()
			defer mu.Unlock()
			statuses[r.Status]++
			if r.Status == http.StatusServiceUnavailable && (r.Code() != "UNAVAILABLE" || r.Header.Get("Retry-After") == "") {
				t.Errorf("refused without a time to retry after: %v %s", r.Header, r.Body)
			}
		})
	}
	clients.Wait()
	if statuses[http.StatusOK] < 4 || statuses[http.StatusServiceUnavailable] == 0 {
		t.Errorf("answers to 40 requests with a limit of 4: %v", statuses)
	}
}

func TestT113_TextThatDatabasesOrScreensChokeOnIsRefusedOrComesBackAsItWas(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		f := startFrontWithUsers(t, databaseURL)
		admin, _, id := f.Session("admin", servertest.AdminPassword)
		for what, text := range map[string]string{
			"NUL":                    `a\u0000b`,
			"a lone surrogate":       `a\ud800b`,
			"surrogates, turned":     `a\udc00\ud800b`,
			"60,000 combining marks": `a` + strings.Repeat(`\u0301`, 60_000),
			"10,000 wide ligatures":  strings.Repeat(`\ufdfa`, 10_000), // each is 18 letters when composed
		} {
			for where, body := range map[string]string{
				"a search":   `{"query":"query($v: String) { users(search: $v) { totalCount } }","variables":{"v":"` + text + `"}}`,
				"a name":     `{"query":"mutation($v: String) { updateUser(input: {id: \"` + id + `\", name: $v}) { user { name } } }","variables":{"v":"` + text + `"}}`,
				"an ID":      `{"query":"query($v: ID!) { node(id: $v) { id } }","variables":{"v":"` + text + `"}}`,
				"a cursor":   `{"query":"query($v: String) { users(after: $v) { totalCount } }","variables":{"v":"` + text + `"}}`,
				"a token":    `{"query":"mutation($v: String!) { createApiToken(input: {name: $v}) { token } }","variables":{"v":"` + text + `"}}`,
				"a password": `{"query":"mutation($v: String!) { login(input: {username: \"alice\", password: $v}) { accessToken } }","variables":{"v":"` + text + `"}}`,
			} {
				var r *servertest.Reply
				wantCheap(t, what+" as "+where, func() {
					r = f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + admin}}, body)
				})
				wantHarmless(t, what+" as "+where, r)
				if refused := strings.Contains(what, "surrogate") && r.Code() == "BAD_REQUEST"; !refused && !strings.HasPrefix(r.Code(), "BAD_USER_INPUT") {
					t.Errorf("%s as %s: %.300s", what, where, r.Body)
				}
			}
		}
		f.alive(t)
	})
}

// T112. A header that merely speaks of streams must not pass the limit of requests in flight.
func TestT112_AHeaderDoesNotPassTheLimitOfRequestsInFlight(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.InFlight = 1 })
	for name, value := range map[string]string{"Upgrade": "x", "Accept": "application/json, text/event-stream;q=0.1"} {
		var mu sync.Mutex
		var crowd sync.WaitGroup
		statuses := map[int]int{}
		for i := range 40 {
			crowd.Go(func() {
				r := f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "X-Forwarded-For": {fmt.Sprintf("10.0.%d.1", i)}, name: {value}},
					fmt.Sprintf(`{"query":"mutation { login(input: {username: \"u%d\", password: \"wrong\"}) { accessToken } }"}`, i))
				mu.Lock()
				statuses[r.Status]++
				mu.Unlock()
			})
		}
		crowd.Wait()
		if statuses[503] == 0 {
			t.Errorf("%s: %s: %v", name, value, statuses)
		}
	}
}

// T104, T105. Names that do not exist come back in messages: ten of 6 kB each made a response of 61 kB.
func TestT104_ALongNameIsNotRepeatedWhole(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	f.refuses(t, map[string]attack{
		"a type of 60 kB":     {"query($a:" + strings.Repeat("x", 60_000) + "){__typename}", invalid},
		"a field of 60 kB":    {"{" + strings.Repeat("x", 60_000) + "}", invalid},
		"ten fields of 6 kB":  {"{me{" + numbered(strings.Repeat("x", 6000)+"# ", 10) + "}}", invalid},
		"a variable of 60 kB": {"{user(id:$" + strings.Repeat("x", 60_000) + "){id}}", invalid},
		"a token of 60 kB":    {"{ me { id } } " + strings.Repeat("x", 60_000), "GRAPHQL_PARSE_FAILED"},
	})
}
