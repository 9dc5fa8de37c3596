package threats

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Guessing and accounts: T1 to T28.

// T2, T3.
func TestT001_ManyPasswordsInOneRequestAreNotTried(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	login := func(alias, password string) string {
		return alias + `: login(input: {username: "alice", password: "` + password + `"}) { accessToken }` + "\n"
	}
	var aliases, fragments strings.Builder
	for i := range 49 {
		aliases.WriteString(login(fmt.Sprintf("a%d", i), fmt.Sprintf("wrong %d", i)))
	}
	aliases.WriteString(login("last", servertest.AlicePassword))
	fragments.WriteString("mutation { ...F0 }\n")
	for i := range 19 {
		fmt.Fprintf(&fragments, "fragment F%d on Mutation { %s ...F%d }\n", i, login(fmt.Sprintf("a%d", i), "wrong"), i+1)
	}
	fragments.WriteString("fragment F19 on Mutation { " + login("last", servertest.AlicePassword) + " }")
	for what, document := range map[string]string{
		"50 aliases":          "mutation {\n" + aliases.String() + "}",
		"20 in fragments":     fragments.String(),
		"one name, repeated":  "mutation { " + strings.Repeat(login("login", servertest.AlicePassword), 2) + " }",
		"in inline fragments": "mutation { " + strings.Repeat("... on Mutation { "+login("a", servertest.AlicePassword)+" } ", 20) + " }",
	} {
		start := time.Now()
		r := f.query(document)
		wantQuick(t, what, start)
		wantHarmless(t, what, r)
		if r.Code() != "QUERY_TOO_COMPLEX" || r.Data != nil {
			t.Errorf("%s: %s", what, r.Body)
		}
	}
	one := `{"query":"mutation { login(input: {username: \"alice\", password: \"` + servertest.AlicePassword + `\"}) { accessToken } }"}`
	r := f.post("[" + strings.Repeat(one+",", 29) + one + "]") // T2
	if r.Status != http.StatusBadRequest || r.Code() != "BATCHING_NOT_SUPPORTED" || r.Data != nil {
		t.Errorf("a batch: %d %s", r.Status, r.Body)
	}
	if n := f.events(auth.EventLoginFailed) + f.events(auth.EventLogin); n != 0 {
		t.Errorf("%d passwords were tried", n)
	}
}

func TestT004_GuessingFromOneClientIsSlowedDown(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		tried := 0
		for i := range 35 {
			switch r := f.guess("203.0.113.7", "alice", fmt.Sprintf("wrong password %d", i)); r.Code() {
			case "INVALID_CREDENTIALS":
				tried++
			case "RATE_LIMITED":
				if r.Header.Get("Retry-After") == "" || r.Header.Get("Retry-After") == "0" {
					t.Errorf("no Retry-After: %v", r.Header)
				}
			default:
				t.Fatalf("guess %d: %s", i, r.Body)
			}
		}
		if tried < 5 || tried > 10 {
			t.Errorf("%d of 35 guesses were tried, want 5 to 10", tried)
		}
		if r := f.guess("203.0.113.7", "alice", servertest.AlicePassword); r.Code() != "RATE_LIMITED" {
			t.Errorf("the right password among the guesses: %s", r.Body)
		}
		f.guess("203.0.113.7", "bob", servertest.BobPassword).Want("") // a neighbour behind the same address
	})
}

func TestT005_GuessingFromManyClientsIsSlowedDownAndT008TheOwnerIsNotLockedOut(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	const home = "198.51.100.23"
	r := f.guess(home, "alice", servertest.AlicePassword).Want("")
	access, refresh := r.Text("login.accessToken"), r.Text("login.refreshToken")
	var mu sync.Mutex
	codes := map[string]int{}
	var guessers sync.WaitGroup
	for g := range 2 {
		guessers.Go(func() {
			for i := range 55 {
				name := []string{"alice", "ALICE", "alice@example.com"}[i%3] // all names of an account share one budget
				code := f.guess(fmt.Sprintf("10.%d.%d.1", g, i), name, "wrong").Code()
				mu.Lock()
				codes[code]++
				mu.Unlock()
			}
		})
	}
	guessers.Wait()
	if codes["INVALID_CREDENTIALS"] > 100 || codes["RATE_LIMITED"] < 10 || len(codes) != 2 {
		t.Errorf("answers to 110 guesses: %v", codes)
	}
	f.guess("10.9.9.9", "alice", servertest.AlicePassword).Want("RATE_LIMITED")
	// T8: the account is under attack now.
	f.from(home, access, `{ me { id } }`).Want("")
	f.Refresh(refresh).Want("")
	f.guess(home, "alice", servertest.AlicePassword).Want("")
}

func TestT006_OnePasswordOnManyAccountsIsSlowedDown(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	codes := map[string]int{}
	for i := range 60 {
		codes[f.guess("203.0.113.7", fmt.Sprintf("user%d", i), "Summer2026!").Code()]++
	}
	if codes["INVALID_CREDENTIALS"] > 30 || codes["RATE_LIMITED"] < 30 {
		t.Errorf("answers to 60 guesses: %v", codes)
	}
	f.guess("203.0.113.8", "alice", servertest.AlicePassword).Want("") // others do not suffer
}

// A client that chooses its own address can guess without limit.
func TestT007_AnAddressThatTheClientClaimsIsNotBelieved(t *testing.T) {
	claims := func(i int) http.Header {
		claimed := fmt.Sprintf("192.0.2.%d", i)
		h := http.Header{"Content-Type": {"application/json"}, "Forwarded": {"for=" + claimed}}
		for _, name := range []string{"X-Real-Ip", "X-Client-Ip", "X-Originating-Ip", "X-Remote-Addr", "True-Client-Ip", "Cf-Connecting-Ip", "X-Forwarded", "X-Cluster-Client-Ip", "Fastly-Client-Ip", "Client-Ip"} {
			h.Set(name, claimed)
		}
		return h
	}
	guess := `{"query":"mutation { login(input: {username: \"alice\", password: \"wrong\"}) { accessToken } }"}`
	for name, c := range map[string]struct {
		proxies bool
		address string // that is recorded
		forward func(i int, h http.Header)
	}{
		"no proxy is trusted": {false, "127.0.0.1", func(i int, h http.Header) { h.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i)) }},
		"before what the proxy wrote": {true, "203.0.113.7", func(i int, h http.Header) {
			h["X-Forwarded-For"] = []string{fmt.Sprintf("192.0.2.%d, 198.51.100.%d", i, i), "203.0.113.7"}
		}},
		"as a trusted proxy": {true, "203.0.113.7", func(i int, h http.Header) {
			h["X-Forwarded-For"] = []string{fmt.Sprintf("192.0.2.%d, 203.0.113.7, 127.0.0.%d", i, i+2)}
		}},
		"behind garbage": {true, "203.0.113.7", func(i int, h http.Header) {
			h["X-Forwarded-For"] = []string{fmt.Sprintf("192.0.2.%d, '; --, 203.0.113.7", i)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := startFrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) {
				if !c.proxies {
					s.Proxies = nil
				}
			})
			codes := map[string]int{}
			for i := range 15 {
				h := claims(i)
				c.forward(i, h)
				codes[f.Send(http.MethodPost, "/graphql", h, guess).Code()]++
			}
			if codes["RATE_LIMITED"] == 0 {
				t.Errorf("answers to 15 guesses: %v", codes)
			}
			if !strings.Contains(f.Logged(), `"ip":"`+c.address+`"`) || strings.Contains(f.Logged(), "192.0.2.") {
				t.Errorf("the log has another address: %.600s", f.Logged())
			}
		})
	}
}

func TestT009_GuessingByWebSocketIsSlowedDown(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	bob, _, _ := f.Session("bob", servertest.BobPassword)
	client := f.Dial(t, "graphql-transport-ws")
	client.Initialise(bob)
	limited := false
	for i := range 12 {
		client.Send(fmt.Sprintf(`{"id":"%d","type":"subscribe","payload":{"query":"mutation { login(input: {username: \"alice\", password: \"wrong %d\"}) { accessToken } }"}}`, i, i))
		for got := ""; !strings.Contains(got, `"complete"`) && !strings.HasPrefix(got, "error"); {
			got = client.Receive(6 * time.Second)
			limited = limited || strings.Contains(got, `"RATE_LIMITED"`)
		}
	}
	if !limited {
		t.Error("12 guesses were tried")
	}
	two := `a: login(input: {username: \"alice\", password: \"wrong\"}) { accessToken } `
	client.Send(`{"id":"two","type":"subscribe","payload":{"query":"mutation { ` + two + strings.Replace(two, "a:", "b:", 1) + `}"}}`)
	if got := client.Receive(6 * time.Second); !strings.Contains(got, "QUERY_TOO_COMPLEX") {
		t.Errorf("two guesses in one message: %s", got)
	}
}

func TestT010_ARefusedLoginDoesNotTellWhetherThereIsSuchAUser(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	look := func(r *servertest.Reply) string {
		h := maps.Clone(r.Header)
		h.Del("Date")
		h.Del("X-Request-Id")
		return fmt.Sprint(r.Status, h, r.Body)
	}
	known, unknown := look(f.guess("203.0.113.1", "alice", "wrong")), look(f.guess("203.0.113.2", "nobody", "wrong"))
	if known != unknown || !strings.Contains(known, "INVALID_CREDENTIALS") {
		t.Errorf("%s\n%s", known, unknown)
	}
	for range 12 { // nor when it is slowed down
		f.guess("203.0.113.1", "alice", "wrong")
		f.guess("203.0.113.2", "nobody", "wrong")
	}
	a, b := f.guess("203.0.113.1", "alice", "wrong"), f.guess("203.0.113.2", "nobody", "wrong")
	if a.Code() != "RATE_LIMITED" || a.Code() != b.Code() || a.Errors[0].Message != b.Errors[0].Message {
		t.Errorf("%s\n%s", a.Body, b.Body)
	}
}

func TestT016_NoAccountWaitsWithAKnownPassword(t *testing.T) {
	t.Parallel()
	f := startFront(t, dbtest.SQLite(t))
	for _, c := range [][2]string{{"admin", "admin"}, {"admin", "password"}, {"admin", ""}, {"root", "root"}, {"latchkey", "latchkey"}, {"test", "test"}, {"", ""}} {
		if code := f.guess("203.0.113.7", c[0], c[1]).Code(); code != "INVALID_CREDENTIALS" {
			t.Errorf("%q: %s", c, code)
		}
	}
	f.AddUsers()
	if code := f.guess("203.0.113.8", "admin", "admin").Code(); code != "INVALID_CREDENTIALS" {
		t.Errorf("with users: %s", code)
	}
}

func TestT017_TheFirstAdministratorIsMadeOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFront(t, url)
		ctx := context.Background()
		if created, err := f.Auth.CreateFirstAdministrator(ctx, "a password for the first"); err != nil || !created {
			t.Fatal(created, err)
		}
		if created, err := f.Auth.CreateFirstAdministrator(ctx, "a password for a thief"); err != nil || created {
			t.Errorf("a second time: %v %v", created, err)
		}
		f.guess("203.0.113.7", "admin", "a password for a thief").Want("INVALID_CREDENTIALS")
		f.guess("203.0.113.7", "admin", "a password for the first").Want("")
	})
}

func TestT018_AHugePasswordIsRefusedBeforeItIsHashed(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	for range 8 {
		r := f.guess("203.0.113.7", "alice", strings.Repeat("p", 900_000))
		wantHarmless(t, "900 kB", r)
		r.Want("BAD_USER_INPUT password")
	}
	if n := f.events(auth.EventLoginFailed); n != 0 {
		t.Errorf("%d were tried", n)
	}
	alice, _, _ := f.Session("alice", servertest.AlicePassword) // the other place where a password is verified
	f.Ask(alice, `mutation($c: String!) { changePassword(input: {currentPassword: $c, newPassword: "another secret of mine"}) { user { id } } }`, "c", strings.Repeat("p", 900_000)).Want("BAD_USER_INPUT currentPassword")
}

func TestT019_ACrowdOfLoginsTakesNeitherMemoryNorTheServer(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t), expensive)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var mu sync.Mutex
	codes := map[string]int{}
	var crowd sync.WaitGroup
	for i := range 80 {
		crowd.Go(func() {
			r := f.guess(fmt.Sprintf("10.0.%d.1", i), fmt.Sprintf("user%d", i), "wrong")
			mu.Lock()
			defer mu.Unlock()
			codes[r.Code()]++
			if r.Code() == "RATE_LIMITED" && r.Header.Get("Retry-After") == "" {
				t.Errorf("turned away without a word when: %s", r.Body)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	for range 5 {
		start := time.Now()
		f.alive(t)
		wantQuick(t, "a query beside the crowd", start)
	}
	crowd.Wait()
	if codes["INVALID_CREDENTIALS"] == 0 || codes["INVALID_CREDENTIALS"]+codes["RATE_LIMITED"] != 80 {
		t.Errorf("answers: %v", codes)
	}
	runtime.ReadMemStats(&after)
	if limit := uint64(128+3*19*runtime.GOMAXPROCS(0)) << 20; after.HeapSys > before.HeapSys+limit {
		t.Errorf("the heap grew by %d MiB", (after.HeapSys-before.HeapSys)>>20)
	}
}

func TestT020_APasswordThatIsNearlyRightIsWrong(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	for _, c := range [][2]string{
		{servertest.AlicePassword + "x", "INVALID_CREDENTIALS"},
		{servertest.AlicePassword[:len(servertest.AlicePassword)-1], "INVALID_CREDENTIALS"},
		{strings.ToUpper(servertest.AlicePassword), "INVALID_CREDENTIALS"},
		{" " + servertest.AlicePassword, "INVALID_CREDENTIALS"}, {servertest.AlicePassword + " ", "INVALID_CREDENTIALS"},
		{servertest.AlicePassword + "\x00", "BAD_USER_INPUT password"}, {servertest.AlicePassword + "\n", "INVALID_CREDENTIALS"},
	} {
		if r := f.guess("203.0.113.7", "alice", c[0]); r.Code() != c[1] {
			t.Errorf("%q: %s", c[0], r.Body)
		}
	}
	f.guess("203.0.113.7", "alice", servertest.AlicePassword).Want("")
}

func TestT023_APasswordThatIsNoTextIsNoPassword(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	for what, value := range map[string]any{
		"null": nil, "list": []string{servertest.AlicePassword}, "object": map[string]any{"$ne": ""}, "number": 271828,
		"bool": true, "nested list": [][]string{{servertest.AlicePassword}}, "float": 2.71828,
	} {
		for _, r := range []*servertest.Reply{
			f.Ask("", servertest.LoginMutation, "u", "alice", "p", value),
			f.Ask("", `mutation($in: LoginInput!) { login(input: $in) { accessToken } }`, "in", map[string]any{"username": "alice", "password": value}),
		} {
			wantHarmless(t, what, r)
			if !strings.HasPrefix(r.Code(), "BAD_USER_INPUT") || strings.Contains(r.Body, "2718") || strings.Contains(r.Body, servertest.AlicePassword) {
				t.Errorf("%s: %s", what, r.Body)
			}
		}
	}
	for _, literal := range []string{`null`, `["x"]`, `{a: "x"}`, `271828`, `true`, `ENUM`} {
		r := f.query(`mutation { login(input: {username: "alice", password: ` + literal + `}) { accessToken } }`)
		wantHarmless(t, literal, r)
		if r.Code() == "" || r.Data != nil || strings.Contains(r.Body, "271828") {
			t.Errorf("%s: %s", literal, r.Body)
		}
	}
	for what, document := range map[string]string{ // where the value belongs to no field's argument
		"a variable's default":   `mutation($p: String! = 271828) { login(input: {username: "alice", password: $p}) { accessToken } }`,
		"a directive's argument": `{ __typename @include(if: 271828) }`,
	} {
		if r := f.query(document); r.Code() == "" || r.Data != nil || strings.Contains(r.Body, "271828") {
			t.Errorf("%s: %s", what, r.Body)
		}
	}
	if n := f.events(auth.EventLoginFailed); n != 0 {
		t.Errorf("%d were tried", n)
	}
}

func TestT025_NamesThatImitateOthersCannotBeTaken(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	for _, name := range []string{
		"ALICE", "alice ", "al\u0456ce", "\u202ealice", "ali\u200bce", "ａｌｉｃｅ", "al\u0131ce", "alice\x00", "alice\r\nBcc: x",
		"alice@example.com", strings.Repeat("a", 5000), "", ".\u00a0.",
	} {
		r := f.Ask(admin, `mutation($u: String!) { createUser(input: {username: $u}) { user { id } } }`, "u", name)
		wantHarmless(t, name, r)
		if !slices.Contains([]string{"BAD_USER_INPUT username", "CONFLICT username"}, r.Code()) {
			t.Errorf("%+q: %.300s", name, r.Body)
		}
		same := name == "ALICE" || name == "alice " || name == "alice@example.com" // white space around a name does not count
		if code := f.guess("203.0.113.7", name, servertest.AlicePassword).Code(); code == "" && !same {
			t.Errorf("%+q logs in as somebody", name)
		}
	}
}

func TestT026_APasswordIsChangedByThoseWhoKnowIt(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, id := f.Session("alice", servertest.AlicePassword)
	for what, c := range map[string]struct{ query, code string }{
		"without the current one":   {`mutation { changePassword(input: {newPassword: "a new password"}) { user { id } } }`, "BAD_USER_INPUT currentPassword"},
		"with null":                 {`mutation { changePassword(input: {currentPassword: null, newPassword: "a new password"}) { user { id } } }`, "BAD_USER_INPUT currentPassword"},
		"with an empty one":         {`mutation { changePassword(input: {currentPassword: "", newPassword: "a new password"}) { user { id } } }`, "INVALID_CREDENTIALS"},
		"as an administrator would": {`mutation { setUserPassword(input: {id: "` + id + `", password: "a new password"}) { user { id } } }`, "FORBIDDEN"},
		"the e-mail address":        {`mutation { updateUser(input: {id: "` + id + `", email: "thief@example.com"}) { user { id } } }`, "FORBIDDEN"},
	} {
		r := f.Ask(alice, c.query)
		wantHarmless(t, what, r)
		if r.Code() != c.code {
			t.Errorf("%s: got %q, want %q: %s", what, r.Code(), c.code, r.Body)
		}
	}
	if r := f.guess("203.0.113.7", "alice@example.com", servertest.AlicePassword).Want(""); r.Text("login.user.id") != id {
		t.Errorf("%s", r.Body)
	}
	limited := false // a stolen session must not be a way to guess the password
	for range 12 {
		r := f.Ask(alice, `mutation { changePassword(input: {currentPassword: "wrong", newPassword: "a new password"}) { user { id } } }`)
		limited = limited || r.Code() == "RATE_LIMITED"
	}
	if !limited {
		t.Error("12 wrong current passwords were tried")
	}
}

// Two processes that count apart double the guesses.
func TestT129_GuessesAreCountedByAllProcessesTogether(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		one := startFrontWithUsers(t, url)
		other := startFront(t, url)
		codes := map[string]int{}
		for i := range 20 {
			f := one
			if i%2 == 1 {
				f = other
			}
			codes[f.guess("203.0.113.7", "alice", "wrong").Code()]++
		}
		if codes["INVALID_CREDENTIALS"] > 10 || codes["RATE_LIMITED"] < 10 {
			t.Errorf("answers to 20 guesses: %v", codes)
		}
		access := one.guess("203.0.113.9", "bob", servertest.BobPassword).Want("").Text("login.accessToken")
		other.Ask(access, `{ me { id } }`).Want("")
	})
}
