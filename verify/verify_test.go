package verify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestOnlyTheServersTokensForThisServiceLogIn(t *testing.T) {
	p := startPeer(t)
	v := p.verifier(Config{})
	now := time.Now().Unix()
	other := newKey(t)
	fine := p.token(nil, nil)
	parts := strings.Split(fine, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"key_1"}`)) + "." + parts[1] + "."
	hmac := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": p.web.URL, "aud": p.web.URL, "exp": now + 600, "sub": user})
	hmac.Header = map[string]any{"alg": "HS256", "typ": "at+jwt", "kid": "key_1"}
	public, _ := p.keys["key_1"].PublicKey.Bytes()
	confused, err := hmac.SignedString(public)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, token string
		want        Reason
	}{
		{"the server's own token is accepted", fine, "OK"},
		{"a clock 20 seconds behind does not lock out", p.token(nil, change{"iat": now + 20}), "OK"},
		{"a clock 20 seconds ahead does not lock out", p.token(nil, change{"exp": now - 20}), "OK"},
		{"no token", "", Missing},
		{"anybody could sign: the key is not the server's", sign(t, other, p.web.URL, nil, nil), Malformed},
		{"anybody could sign: alg none", unsigned, Malformed},
		{"anybody could sign: HMAC with the public key", confused, Malformed},
		{"anybody could sign: the key comes along in the header", sign(t, other, p.web.URL, change{"jwk": map[string]any{"kty": "EC"}}, nil), Malformed},
		{"anybody could sign: the header says where the key is", p.token(change{"jku": "http://evil.test/"}, nil), Malformed},
		{"extensions that must be understood are not ignored", p.token(change{"crit": []string{"b64"}}, nil), Malformed},
		{"an ID token is no access token", p.token(change{"typ": "JWT"}, nil), Malformed},
		{"no type", p.token(change{"typ": nil}, nil), Malformed},
		{"no key ID", p.token(change{"kid": nil}, nil), Malformed},
		{"the key ID is a number", p.token(change{"kid": 1}, nil), Malformed},
		{"changed claims", parts[0] + "." + strings.Replace(parts[1], "a", "b", 1) + "." + parts[2], Malformed},
		{"cut off", fine[:len(fine)-4], Malformed},
		{"trailing bits", fine[:len(fine)-1] + "B", Malformed},
		{"padding", fine + "=", Malformed},
		{"line ends", fine + "\n", Malformed},
		{"five parts", fine + ".a.b", Malformed},
		{"a token for another service", p.token(nil, change{"aud": "https://other.test"}), WrongAudience},
		{"a token for several services", p.token(nil, change{"aud": []string{p.web.URL, "https://other.test"}}), Malformed},
		{"a token for everybody", p.token(nil, change{"aud": nil}), Malformed},
		{"a token of another issuer with our key", p.token(nil, change{"iss": "https://other.test"}), WrongAudience},
		{"expired", p.token(nil, change{"exp": now - 60}), Expired},
		{"expired, for another service", p.token(nil, change{"exp": now - 60, "aud": "x"}), WrongAudience},
		{"it never expires", p.token(nil, change{"exp": nil}), Malformed},
		{"not yet valid", p.token(nil, change{"nbf": now + 120}), Malformed},
		{"issued in the future", p.token(nil, change{"iat": now + 120}), Malformed},
		{"issued never", p.token(nil, change{"iat": nil}), Malformed},
		{"no token ID", p.token(nil, change{"jti": nil}), Malformed},
		{"nobody's", p.token(nil, change{"sub": nil}), Malformed},
		{"a session in the user's place", p.token(nil, change{"sub": session}), Malformed},
		{"of no session, which could never be ended", p.token(nil, change{"sid": nil}), Malformed},
		{"too large", p.token(nil, change{"x": strings.Repeat("x", 4096)}), Malformed},
		{"a refresh token", "lr_abcdefghijklmnopqrstuvwxyz", Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // the second time from the cache
				if got := outcome(v, c.token); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
		})
	}
}

func TestTheViewerIsWhoTheTokenSays(t *testing.T) {
	p := startPeer(t)
	v := p.verifier(Config{})
	viewer, err := v.Verify(t.Context(), p.token(nil, nil))
	if err != nil || viewer.UserID != user || viewer.SessionID != session || time.Until(viewer.Expires) < 9*time.Minute {
		t.Fatalf("%+v, %v", viewer, err)
	}
	for _, c := range []struct {
		name string
		ways [][]string
		want bool
	}{
		{"one of one", [][]string{{"users:read"}}, true},
		{"both", [][]string{{"users:read", "users:write"}}, true},
		{"only half", [][]string{{"users:read", "audit:read"}}, false},
		{"the second way", [][]string{{"audit:read"}, {"users:write"}}, true},
		{"a part of a name is not the scope", [][]string{{"users"}}, false},
		{"no way at all lets nobody in", nil, false},
	} {
		if got := viewer.Satisfies(c.ways); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestTheHeaderIsReadAsTheServerReadsIt(t *testing.T) {
	p := startPeer(t)
	v := p.verifier(Config{})
	token := p.token(nil, nil)
	for _, c := range []struct {
		name   string
		values []string
		want   Reason
	}{
		{"none", nil, Missing},
		{"empty, as clients send it while no one is logged in", []string{""}, Missing},
		{"the scheme alone", []string{"Bearer "}, Missing},
		{"Bearer", []string{"Bearer " + token}, "OK"},
		{"any case", []string{"bEARER " + token}, "OK"},
		{"Token, as clients of Django REST framework send", []string{"Token " + token}, "OK"},
		{"two, of which one may be smuggled in", []string{"Bearer " + token, "Bearer " + token}, Malformed},
		{"Basic", []string{"Basic dTpw"}, Malformed},
		{"no scheme", []string{token}, Malformed},
		{"a list", []string{"Bearer " + token + ", Bearer " + token}, Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header["Authorization"] = c.values
			passed := false
			v.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				passed = true
				viewer, err := FromContext(r.Context())
				if got := wordFor(err); got != c.want || (viewer != nil) != (c.want == "OK") {
					t.Errorf("got %s and %v, want %s", got, viewer, c.want)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
			if !passed {
				t.Error("the request was refused")
			}
		})
	}
	if _, err := FromContext(t.Context()); wordFor(err) != Missing {
		t.Errorf("without the middleware: %v", err)
	}
}

func TestAConfigurationThatCannotWorkStopsTheStart(t *testing.T) {
	for name, c := range map[string]Config{
		"no issuer":               {},
		"the issuer is no URL":    {Issuer: "id.example.com"},
		"the address is no URL":   {Issuer: "https://id.example.com", BaseURL: "localhost:8080"},
		"an access token":         {Issuer: "https://id.example.com", APIToken: "eyJhbGciOi.J.x"},
		"an API token with typos": {Issuer: "https://id.example.com", APIToken: serviceToken[:38] + "!"},
		"a negative time":         {Issuer: "https://id.example.com", CacheFor: -1},
	} {
		if _, err := New(c); err == nil || strings.Contains(err.Error(), serviceToken[:38]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAccessTokenCostsNoCall(t *testing.T) {
	p := startPeer(t)
	v := p.running(Config{})
	for i := range 50 {
		if got := outcome(v, p.token(nil, change{"jti": fmt.Sprint(i)})); got != "OK" {
			t.Fatal(got)
		}
	}
	if p.count("keys") != 1 || p.count("introspect") != 0 || p.count("feed") != 1 {
		t.Errorf("calls: %v", p.calls)
	}
}

func TestARememberedTokenStillExpires(t *testing.T) {
	p := startPeer(t)
	var ahead time.Duration
	v := p.verifier(Config{Now: func() time.Time { return time.Now().Add(ahead) }})
	token := p.token(nil, nil)
	if got := outcome(v, token); got != "OK" {
		t.Fatal(got)
	}
	ahead = 11 * time.Minute
	if got := outcome(v, token); got != Expired {
		t.Errorf("after its end: %s", got)
	}
}

func TestUntrustedClientsCannotFillTheMemory(t *testing.T) {
	c := newCache[int](100)
	for i := range 1000 {
		c.put(0, digest{byte(i), byte(i >> 8)}, i, 1000)
	}
	if len(c.entries) != 100 {
		t.Errorf("%d entries", len(c.entries))
	}
	if got, ok := c.get(digest{999 & 255, 999 >> 8}, 999); !ok || got != 999 {
		t.Errorf("the newest: %d %v", got, ok)
	}
}

// Keys.

func TestKeysRotateWithoutARestart(t *testing.T) {
	p := startPeer(t)
	log := new(logBuffer)
	v := p.verifier(Config{Log: slog.New(slog.NewTextHandler(log, nil))})
	v.keys.pause = 0
	old := p.token(nil, nil)
	if got := outcome(v, old); got != "OK" {
		t.Fatal(got)
	}
	second := newKey(t)
	fresh := sign(t, second, p.web.URL, change{"kid": "key_2"}, nil)
	if got := outcome(v, fresh); got != Malformed {
		t.Errorf("with an unpublished key: %s", got)
	}
	p.set(func() { p.keys["key_2"] = second })
	for name, token := range map[string]string{"new": fresh, "old": old} {
		if got := outcome(v, token); got != "OK" {
			t.Errorf("both keys published, the %s: %s", name, got)
		}
	}
	p.set(func() { delete(p.keys, "key_1") })
	if _, err := v.keys.load(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if got := outcome(v, old); got != Malformed {
		t.Errorf("a remembered token of a retired key: %s", got)
	}
	if got := outcome(v, fresh); got != "OK" {
		t.Errorf("the new key: %s", got)
	}
}

func TestUnknownKeysDoNotMakeUsFloodTheServer(t *testing.T) {
	p := startPeer(t)
	v := p.verifier(Config{})
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if got := outcome(v, sign(t, p.keys["key_1"], p.web.URL, change{"kid": fmt.Sprint(i)}, nil)); got != Malformed {
				t.Error(got)
			}
		})
	}
	all.Wait()
	if n := p.count("keys"); n > 3 {
		t.Errorf("%d calls", n)
	}
}

func TestKeysStayWhenTheServerFails(t *testing.T) {
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	for name, broken := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"down":                answer(503, ""),
		"another page":        answer(200, "<html>"),
		"no keys":             answer(200, `{"keys":[]}`),
		"keys of other kinds": answer(200, `{"keys":[{"kty":"RSA","kid":"a","alg":"RS256","use":"sig"},{"kty":"EC","crv":"P-384","kid":"b","alg":"ES384","use":"sig"}]}`),
		"no point of the curve": answer(200, `{"keys":[{"kty":"EC","crv":"P-256","kid":"key_1","alg":"ES256","use":"sig","x":"`+
			strings.Repeat("A", 43)+`","y":"`+strings.Repeat("A", 43)+`"}]}`),
		"endless": answer(200, `{"keys":[`+strings.Repeat(" ", maxAnswer)+`]}`),
		"elsewhere": func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.RawQuery == "" {
				http.Redirect(w, r, r.URL.Path+"?elsewhere", http.StatusFound)
			}
			return r.URL.RawQuery == ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPeer(t)
			token := p.token(nil, nil)
			v := p.verifier(Config{})
			v.keys.pause = 0
			p.set(func() { p.jwks = broken })
			if got := outcome(v, token); got != "UNAVAILABLE" {
				t.Errorf("before any key is known: %s", got)
			}
			p.set(func() { p.jwks = nil })
			if got := outcome(v, token); got != "OK" {
				t.Fatalf("mended: %s", got)
			}
			p.set(func() { p.jwks = broken })
			if _, err := v.keys.load(t.Context(), 0); err == nil {
				t.Error("the failure was not seen")
			}
			if got := outcome(v, token); got != "OK" {
				t.Errorf("with the keys of before: %s", got)
			}
		})
	}
}

func TestKeysAreReadAgainWhenTheServerSays(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"public, max-age=300": 5 * time.Minute, "MAX-AGE=120": 2 * time.Minute, "": keysAge, "no-cache": keysAge, "max-age=x": keysAge,
		"max-age=0": minKeysAge, "max-age=-1": minKeysAge, "max-age=999999999999999": maxKeysAge,
	} {
		if got := maxAge(http.Header{"Cache-Control": {header}}); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	p := startPeer(t)
	v := p.verifier(Config{})
	for range 2 { // the second time: 304
		if age, err := v.keys.load(t.Context(), 0); age != 5*time.Minute || err != nil || v.keys.known("key_1") == nil {
			t.Errorf("%v %v", age, err)
		}
	}
}

// Revocation.

func TestWhatIsTakenBackIsRefusedAtOnce(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       Reason
	}{
		{"logout", `{"sessions":[{"sid":"` + session + `","until":9999999999}],"users":[]}`, Revoked},
		{"somebody else's logout", `{"sessions":[{"sid":"session_x","until":9999999999}]}`, "OK"},
		{"fewer roles", `{"users":[{"sub":"` + user + `","scope":"users:read","until":9999999999}]}`, Revoked},
		{"no roles", `{"users":[{"sub":"` + user + `","scope":"","until":9999999999}]}`, Revoked},
		{"more roles", `{"users":[{"sub":"` + user + `","scope":"audit:read users:read users:write","until":9999999999}]}`, Revoked},
		{"a new name only", `{"users":[{"sub":"` + user + `","scope":"users:read users:write","until":9999999999}]}`, "OK"},
		{"somebody else's roles", `{"users":[{"sub":"` + other + `","scope":"","until":9999999999}]}`, "OK"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startPeer(t)
			v := p.running(Config{})
			token := p.token(nil, nil)
			if got := outcome(v, token); got != "OK" {
				t.Fatal(got)
			}
			p.revoke(c.data)
			if c.want == Revoked {
				eventually(t, "the token is refused", func() bool { return outcome(v, token) == Revoked })
			}
			p.cutFeeds() // the next connection's reset contains it too
			eventually(t, "connected again", func() bool { return p.count("feed") > 1 && v.feed.fresh() })
			if got := outcome(v, token); got != c.want {
				t.Errorf("after reset: %s, want %s", got, c.want)
			}
			if n := p.count("introspect"); n > 0 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

func TestAResetReplacesWhatWasHeard(t *testing.T) {
	p := startPeer(t)
	v := p.running(Config{})
	token := p.token(nil, nil)
	p.send("revoked", `{"users":[{"sub":"`+user+`","scope":"","until":9999999999}]}`)
	eventually(t, "the token is refused", func() bool { return outcome(v, token) == Revoked })
	p.send("future", `[`) // an event of a later version
	p.send("reset", `{"sessions":[],"users":[]}`)
	eventually(t, "the token is accepted", func() bool { return outcome(v, token) == "OK" })
}

func TestWithoutTheFeedEachTokenIsAsked(t *testing.T) {
	for name, lose := range map[string]func(*peer){
		"the connection is cut":         func(p *peer) { p.set(func() { p.refusing = true }); p.cutFeeds() },
		"the server is not sure itself": func(p *peer) { p.set(func() { p.silent = true }) },
		"the feed talks nonsense":       func(p *peer) { p.set(func() { p.refusing = true }); p.send("reset", "[") },
	} {
		t.Run(name, func(t *testing.T) {
			p := startPeer(t)
			v := p.running(Config{})
			token, program := p.token(nil, nil), apiToken("a")
			p.active(token, change{"sid": session})
			p.active(program, nil)
			outcome(v, program) // cached
			lose(p)
			eventually(t, "the feed is lost", func() bool { return !v.feed.fresh() })
			before := p.count("introspect")
			for range 3 {
				if a, b := outcome(v, token), outcome(v, program); a != "OK" || b != "OK" {
					t.Errorf("good tokens: %s %s", a, b)
				}
			}
			if n := p.count("introspect") - before; n != 6 {
				t.Errorf("%d calls for 6 requests: something was remembered", n)
			}
			p.set(func() { clear(p.tokens) })
			if a, b := outcome(v, token), outcome(v, program); a != Revoked || b != Revoked {
				t.Errorf("revoked meanwhile: %s %s", a, b)
			}
			p.set(func() { p.introspect = func(w http.ResponseWriter, _ string) bool { w.WriteHeader(503); return true } })
			if a, b := outcome(v, token), outcome(v, program); a != "UNAVAILABLE" || b != "UNAVAILABLE" {
				t.Errorf("nobody knows: %s %s", a, b)
			}
			if got := outcome(v, p.token(nil, change{"exp": time.Now().Unix() - 60})); got != Expired {
				t.Errorf("what needs no question: %s", got)
			}
			p.set(func() { p.refusing, p.silent = false, false })
			eventually(t, "recovers", func() bool { return outcome(v, token) == "OK" })
		})
	}
}

func TestASilentlyDeadConnectionIsGivenUp(t *testing.T) {
	p := startPeer(t)
	log := new(logBuffer)
	v := p.running(Config{Log: slog.New(slog.NewTextHandler(log, nil))})
	p.set(func() { p.silent = true })
	eventually(t, "connects again", func() bool { return p.count("feed") > 1 })
	if !strings.Contains(log.String(), errTimeout.Error()) {
		t.Errorf("the log does not say why: %s", log)
	}
	p.set(func() { p.silent = false })
	eventually(t, "hears again", v.feed.fresh)
}

func TestAnAliveBeforeTheResetProvesNothing(t *testing.T) {
	p := startPeer(t)
	v := p.verifier(Config{APIToken: serviceToken})
	if _, err := v.feed.apply(event{"alive", "{}"}, false); err != nil || v.feed.fresh() {
		t.Error("what happened without a connection would be missed")
	}
}

func TestTooManyRevocationsAreAskedInstead(t *testing.T) {
	p := startPeer(t)
	v := p.verifier(Config{APIToken: serviceToken})
	v.feed.limit = 100
	var b strings.Builder
	for i := range v.feed.limit + 1 {
		fmt.Fprintf(&b, `,{"sid":"session_%d","until":1}`, i)
	}
	if _, err := v.feed.apply(event{"reset", `{"sessions":[` + b.String()[1:] + `]}`}, false); err == nil || v.feed.fresh() {
		t.Errorf("error %v", err)
	}
	v.feed.purge()
	if len(v.feed.sessions) != 0 {
		t.Error("revocations of expired tokens are kept")
	}
}

func TestWithoutAnAPITokenAccessTokensAreGoodUntilTheyExpire(t *testing.T) {
	p := startPeer(t)
	v := p.verifier(Config{})
	run(t, v)
	if a, b := outcome(v, p.token(nil, nil)), outcome(v, apiToken("a")); a != "OK" || b != WrongAudience {
		t.Errorf("%s %s", a, b)
	}
	if p.count("introspect")+p.count("feed") > 0 {
		t.Errorf("calls: %v", p.calls)
	}
}

// API tokens.

func TestAPITokensAreRememberedForSeconds(t *testing.T) {
	p := startPeer(t)
	v := p.running(Config{CacheFor: 300 * time.Millisecond})
	program := apiToken("a")
	p.active(program, nil)
	start := time.Now()
	for range 20 {
		if got := outcome(v, program); got != "OK" {
			t.Fatal(got)
		}
	}
	if n := p.count("introspect"); n != 1 && time.Since(start) < 250*time.Millisecond {
		t.Errorf("%d calls", n)
	}
	p.set(func() { clear(p.tokens) })
	eventually(t, "the revoked token is refused", func() bool { return outcome(v, program) == Revoked })
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("after %v", d)
	}
	before := p.count("introspect")
	outcome(v, program)
	if n := p.count("introspect") - before; n > 1 {
		t.Errorf("%d calls for a refused token", n)
	}
	for _, typo := range []string{"lk_", program[:38], program[:38] + "a", strings.Replace(program, "aa", "ab", 1)} {
		if got := outcome(v, typo); got != Malformed {
			t.Errorf("a typo: %s", got)
		}
	}
	if n := p.count("introspect") - before; n > 1 {
		t.Errorf("%d calls for typos", n)
	}
}

func TestAChangedUserIsAskedAboutAtOnce(t *testing.T) {
	p := startPeer(t)
	v := p.running(Config{})
	mine, theirs := apiToken("a"), apiToken("b")
	p.active(mine, nil)
	p.active(theirs, change{"sub": other})
	outcome(v, mine)
	outcome(v, theirs)
	p.set(func() { clear(p.tokens) })
	p.send("revoked", `{"users":[{"sub":"`+user+`","scope":"","until":9999999999}]}`)
	eventually(t, "the changed user's token is asked about", func() bool { return outcome(v, mine) == Revoked })
	if got := outcome(v, theirs); got != "OK" {
		t.Errorf("somebody else's token: %s", got)
	}
}

func TestAnAnswerFromBeforeAChangeIsNotRemembered(t *testing.T) {
	p := startPeer(t)
	v := p.running(Config{})
	program := apiToken("a")
	p.active(program, nil)
	p.set(func() {
		p.introspect = func(http.ResponseWriter, string) bool { // the user changes while the response is in transit
			v.forgetAnswers(func(string) bool { return true })
			return false
		}
	})
	outcome(v, program)
	p.set(func() { p.introspect = nil })
	outcome(v, program)
	if n := p.count("introspect"); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestOneQuestionForManyWhoAskTheSame(t *testing.T) {
	p := startPeer(t)
	v := p.running(Config{})
	program := apiToken("a")
	p.active(program, nil)
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	p.set(func() {
		p.introspect = func(http.ResponseWriter, string) bool { asked <- struct{}{}; <-answer; return false }
	})
	impatient, leave := context.WithCancel(t.Context())
	first := make(chan Reason)
	go func() { _, err := v.Verify(impatient, program); first <- wordFor(err) }()
	<-asked
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if got := outcome(v, program); got != "OK" {
				t.Error(got)
			}
		})
	}
	leave()
	if got := <-first; got != "UNAVAILABLE" {
		t.Errorf("who does not wait: %s", got)
	}
	time.Sleep(20 * time.Millisecond)
	close(answer)
	all.Wait()
	if n := p.count("introspect"); n != 1 {
		t.Errorf("%d questions", n)
	}
}

func TestOnlyAClearAnswerLogsIn(t *testing.T) {
	p := startPeer(t)
	program := apiToken("a")
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   Reason
	}{
		{"active", 200, `{"active":true,"sub":"` + user + `"}`, "OK"},
		{"an audience in a list", 200, `{"active":true,"sub":"` + user + `","aud":["x","` + p.web.URL + `"]}`, "OK"},
		{"not active", 200, `{"active":false}`, Revoked},
		{"for another service", 200, `{"active":true,"sub":"` + user + `","aud":"x"}`, WrongAudience},
		{"of another issuer", 200, `{"active":true,"sub":"` + user + `","iss":"x"}`, WrongAudience},
		{"a refresh token", 200, `{"active":true,"sub":"` + user + `","token_type":"refresh_token"}`, Malformed},
		{"nobody's", 200, `{"active":true}`, "UNAVAILABLE"},
		{"nothing said", 200, `{}`, "UNAVAILABLE"},
		{"active is a text", 200, `{"active":"true"}`, "UNAVAILABLE"},
		{"half an answer", 200, `{"active":true,"sub":"` + user, "UNAVAILABLE"},
		{"too long", 200, `{"active":true,"sub":"` + user + `","x":"` + strings.Repeat("x", maxAnswer) + `"}`, "UNAVAILABLE"},
		{"another page", 200, `<html>`, "UNAVAILABLE"},
		{"our API token is not valid", 401, `{"active":true,"sub":"` + user + `"}`, "UNAVAILABLE"},
		{"our API token lacks the scope", 403, ``, "UNAVAILABLE"},
		{"elsewhere", 307, ``, "UNAVAILABLE"},
		{"down", 503, ``, "UNAVAILABLE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := p.verifier(Config{APIToken: serviceToken})
			p.set(func() {
				p.introspect = func(w http.ResponseWriter, _ string) bool {
					w.Header().Set("Location", "http://evil.test/")
					w.WriteHeader(c.status)
					fmt.Fprint(w, c.body)
					return true
				}
			})
			_, err := v.Verify(t.Context(), program)
			if got := wordFor(err); got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), program) || strings.Contains(err.Error(), serviceToken)) {
				t.Errorf("the error tells a token: %v", err)
			}
		})
	}
}

func TestAServerThatHangsDoesNotHangUs(t *testing.T) {
	p := startPeer(t)
	v := p.verifier(Config{APIToken: serviceToken})
	hang := make(chan struct{})
	p.set(func() { p.introspect = func(http.ResponseWriter, string) bool { <-hang; return true } })
	start := time.Now()
	got := outcome(v, apiToken("a"))
	close(hang)
	if d := time.Since(start); got != "UNAVAILABLE" || d < askTimeout || d > 5*askTimeout {
		t.Errorf("%s after %v", got, d)
	}
}

// BenchmarkMemoryOfRevocations measures the memory of revoked sessions in a service that verifies tokens, not time:
// go test -run '^$' -bench MemoryOfRevocations -benchtime 1x ./verify
func BenchmarkMemoryOfRevocations(b *testing.B) {
	const sessions = 10_000
	for b.Loop() {
		f := newFeed(nil, nil, time.Now, func(func(string) bool) {})
		before := heap()
		for i := range sessions {
			var r revocation
			if err := json.Unmarshal(fmt.Appendf(nil, `{"sessions":[{"sid":"session_01k8x3v5n8e9vbb9f1g2h%05d","until":1790000000}]}`, i), &r); err != nil {
				b.Fatal(err)
			}
			if err := f.add(r); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/1024, "KiB/10000-sessions")
		runtime.KeepAlive(f)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
