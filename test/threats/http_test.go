package threats

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	goversion "go/version"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Browsers and HTTP: T82 to T95.

const loginAlice = `mutation { login(input: {username: "alice", password: "` + servertest.AlicePassword + `"}) { accessToken } }`

// loginAliceBody is what logs alice in, if anybody runs it.
var loginAliceBody = documentBody(loginAlice)

func documentBody(document string) string {
	body, _ := json.Marshal(map[string]string{"query": document}) // a map of texts does not fail
	return string(body)
}

// wantNoLogin fails the test if a password was looked at.
func (f *front) wantNoLogin() {
	f.t.Helper()
	if n := f.events(auth.EventLogin) + f.events(auth.EventLoginFailed); n != 0 {
		f.t.Errorf("%d logins were tried", n)
	}
}

// What a link or an image can do must change nothing. T82.
func TestT082_ALinkRunsNoMutation(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	for what, document := range map[string]string{
		"plain": loginAlice, "named": `mutation Login` + strings.TrimPrefix(loginAlice, "mutation"),
		"beside a query": `query A { __typename } ` + strings.Replace(loginAlice, "mutation", "mutation Login", 1),
		"with a comment": "#{ me }\n" + loginAlice, "in a fragment": `mutation Login { ...F } fragment F on Mutation ` + strings.TrimPrefix(loginAlice, "mutation "),
	} {
		q := url.Values{"query": {document}}
		if strings.Contains(document, "Login") {
			q.Set("operationName", "Login")
		}
		for _, accept := range []string{"*/*", "text/html,*/*;q=0.8", "image/avif,image/webp,*/*", servertest.GraphQLResponse, "application/json"} {
			r := f.Send(http.MethodGet, "/graphql?"+q.Encode(), http.Header{"Accept": {accept}}, "")
			wantHarmless(t, what, r)
			if r.Status != http.StatusMethodNotAllowed || r.Code() != "METHOD_NOT_ALLOWED" || r.Data != nil || !strings.Contains(r.Header.Get("Allow"), "POST") {
				t.Errorf("%s, Accept %s: %d %v %s", what, accept, r.Status, r.Header, r.Body)
			}
		}
		for _, accept := range []string{"text/event-stream", servertest.Multipart} {
			stream := f.Send(http.MethodGet, "/graphql?"+q.Encode(), http.Header{"Accept": {accept}}, "")
			if !strings.Contains(stream.Body, "METHOD_NOT_ALLOWED") || strings.Contains(stream.Body, `"data"`) {
				t.Errorf("%s as a stream: %s", what, stream.Body)
			}
		}
	}
	f.Send(http.MethodHead, "/graphql?"+url.Values{"query": {loginAlice}}.Encode(), http.Header{}, "")
	f.Send(http.MethodGet, "/graphql", http.Header{"Content-Type": {"application/json"}}, loginAliceBody)
	f.Send(http.MethodPost, "/graphql?"+url.Values{"query": {loginAlice}}.Encode(), http.Header{"Content-Type": {"application/json"}}, "{}")
	f.wantNoLogin()
}

// A page elsewhere can send these types without asking first. T83.
func TestT083_WhatAFormCanSendIsNotRun(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	form := url.Values{"query": {loginAlice}}.Encode()
	multipart := "--x\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n" + loginAliceBody + "\r\n--x\r\nContent-Disposition: form-data; name=\"map\"\r\n\r\n{}\r\n--x--\r\n"
	for _, c := range []struct {
		types []string
		body  string
	}{
		{nil, loginAliceBody}, {[]string{""}, loginAliceBody}, {[]string{"text/plain"}, loginAliceBody},
		{[]string{"text/plain;charset=UTF-8"}, loginAliceBody}, {[]string{"text/plain; application/json"}, loginAliceBody},
		{[]string{"application/x-www-form-urlencoded"}, form}, {[]string{"application/x-www-form-urlencoded"}, loginAliceBody},
		{[]string{"multipart/form-data; boundary=x"}, multipart}, {[]string{"multipart/form-data"}, multipart},
		{[]string{"multipart/mixed; boundary=x"}, multipart}, {[]string{"application/graphql"}, loginAlice},
		{[]string{"application/json, text/plain"}, loginAliceBody}, {[]string{"text/plain, application/json"}, loginAliceBody},
		{[]string{"text/plain", "application/json"}, loginAliceBody},
		{[]string{"application/json", "text/plain"}, loginAliceBody}, {[]string{"text/json"}, loginAliceBody},
		{[]string{"application/jsonp"}, loginAliceBody}, {[]string{"application/json+x"}, loginAliceBody},
		{[]string{"*/*"}, loginAliceBody}, {[]string{"json"}, loginAliceBody},
		{[]string{"application/json; charset=utf-7"}, loginAliceBody},
		{[]string{"application/json; charset=utf-16"}, loginAliceBody}, {[]string{"application/octet-stream"}, loginAliceBody},
		{[]string{"text/xml"}, loginAliceBody},
	} {
		r := f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": c.types}, c.body)
		wantHarmless(t, fmt.Sprint(c.types), r)
		if r.Status != http.StatusUnsupportedMediaType || r.Code() != "UNSUPPORTED_MEDIA_TYPE" || r.Data != nil || strings.Contains(r.Body, servertest.AlicePassword) {
			t.Errorf("%q: %d %s", c.types, r.Status, r.Body)
		}
	}
	f.wantNoLogin()
	f.post(loginAliceBody).Want("")
}

func TestT084_AFormOfThousandsOfFilesFillsNoDisk(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	var form strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&form, "--x\r\nContent-Disposition: form-data; name=\"%d\"; filename=\"%d\"\r\n\r\n%s\r\n", i, i, strings.Repeat("y", 100))
	}
	form.WriteString("--x--\r\n")
	for _, path := range []string{"/graphql", "/oauth/introspect", "/oauth/revoke"} {
		start := time.Now()
		r := f.Send(http.MethodPost, path, http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, form.String())
		wantQuick(t, path, start)
		wantHarmless(t, path, r)
		if r.Status != http.StatusUnsupportedMediaType && r.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", path, r.Status, r.Body)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "multipart-*")); err != nil || len(files) > 0 {
		t.Errorf("%v %v", files, err)
	}
	f.alive(t)
}

const appOrigin = "https://app.example.com"

func withAppOrigin(s *servertest.Settings) { s.Origins = []string{appOrigin} }

// A page that may read responses reads those to tokens that it was given by mistake. T85.
func TestT085_PagesOfOtherOriginsReadNothing(t *testing.T) {
	t.Parallel()
	listed := startFront(t, dbtest.SQLite(t), withAppOrigin)
	closed := startFront(t, dbtest.SQLite(t))
	ask := func(f *front, method, path, origin string) *servertest.Reply {
		h := http.Header{"Origin": {origin}, "Content-Type": {"application/json"}}
		body := `{"query":"{ __typename }"}`
		if method == http.MethodOptions {
			h, body = http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type"}}, ""
		}
		return f.Send(method, path, h, body)
	}
	for _, path := range []string{"/graphql", "/oauth/introspect", "/oauth/revocations", "/healthz", "/nothing"} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodOptions} {
			for _, origin := range []string{
				"https://evil.example", "null", "", "*", "http://app.example.com", "https://app.example.com.evil.example",
				"https://evil-app.example.com", "https://app.example.com:8443", "https://app.example.comevil",
				"https://appxexample.com", "https://sub.app.example.com", "https://app.example.com/",
				"https://app.example.com@evil.example", "https://evil.example/https://app.example.com", "file://",
				appOrigin + " https://evil.example", appOrigin + "\u200b",
			} {
				for _, f := range []*front{listed, closed} {
					r := ask(f, method, path, origin)
					for name := range r.Header {
						if strings.HasPrefix(name, "Access-Control-Allow-") {
							t.Errorf("%s %s for %q: %s: %s", method, path, origin, name, r.Header.Get(name))
						}
					}
					if f == listed && !slices.Contains(r.Header.Values("Vary"), "Origin") && !strings.Contains(r.Header.Get("Vary"), "Origin,") {
						t.Errorf("%s %s for %q: a cache may keep it for all: Vary %q", method, path, origin, r.Header.Values("Vary"))
					}
				}
			}
			r := ask(listed, method, path, appOrigin)
			if r.Header.Get("Access-Control-Allow-Origin") != appOrigin || r.Header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Origin") {
				t.Errorf("%s %s for the listed one: %v", method, path, r.Header)
			}
			if method == http.MethodOptions && (r.Header.Get("Access-Control-Allow-Headers") != "authorization,content-type" || r.Header.Get("Access-Control-Max-Age") != "7200") {
				t.Errorf("preflight: %v", r.Header)
			}
		}
	}
	// What is public is for every page, without credentials.
	r := ask(listed, http.MethodGet, "/.well-known/jwks.json", "https://evil.example")
	if r.Header.Get("Access-Control-Allow-Origin") != "*" || r.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the public keys: %v", r.Header)
	}
}

func TestT086_AHugePreflightCostsNothing(t *testing.T) {
	t.Parallel()
	f := startFront(t, dbtest.SQLite(t), withAppOrigin)
	for what, c := range map[string]struct {
		size   int
		status string // of the response
	}{"over the limit": {500_000, "HTTP/1.1 431"}, "below it": {30_000, "HTTP/1.1 204"}} {
		request := "OPTIONS /graphql HTTP/1.1\r\nHost: x\r\nOrigin: " + appOrigin + "\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: " + strings.Repeat("a,", c.size/2) + "zzmarker\r\nConnection: close\r\n\r\n"
		start := time.Now()
		for range 40 {
			answer := f.raw(t, request, 5*time.Second) // the server keeps the connection for a moment, so that the response arrives
			if !strings.HasPrefix(answer, c.status) || strings.Contains(answer, "zzmarker") || len(answer) > 4096 {
				t.Fatalf("%s: %d bytes: %.300s", what, len(answer), answer)
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: 40 took %v", what, took)
		}
	}
	f.alive(t)
}

// A WebSocket needs no preflight: the handshake is where another site's page is turned away. T87.
func TestT087_APageOfAnotherOriginOpensNoWebSocket(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t), withAppOrigin)
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	dial := func(origin string) (*websocket.Conn, int) {
		conn, resp, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(f.URL, "http")+"/graphql", &websocket.DialOptions{
			Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {origin}, "Authorization": {"Bearer " + alice}},
		})
		if resp == nil {
			t.Fatalf("%s: %v", origin, err)
		}
		return conn, resp.StatusCode
	}
	for _, origin := range []string{
		"https://evil.example", "null", "file://", "*", "https://app.example.com.evil.example", "https://evil-app.example.com",
		"https://app.example.com:8443", "https://appxexample.com", "https://sub.app.example.com",
		"https://app.example.com@evil.example", "https://evil.example/app.example.com", "https://evil.example#" + appOrigin,
		"http://app.example.com", f.URL + ".evil.example", "http://127.0.0.1", "http://localhost",
	} {
		if conn, status := dial(origin); status != http.StatusForbidden || conn != nil {
			t.Errorf("%s: %d", origin, status)
		}
	}
	for _, origin := range []string{appOrigin, f.URL} { // the listed one, and GraphiQL's
		conn, status := dial(origin)
		if status != http.StatusSwitchingProtocols {
			t.Fatalf("%s: %d", origin, status)
		}
		conn.CloseNow()
	}
}

func TestT088_OtherMethodsDoNothing(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	for _, method := range []string{"TRACE", "TRACK", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "PROPFIND", "MOVE", "DEBUG", "PURGE", "QUERY", "post", "POSTX", "GRAPHQL"} {
		answer := f.raw(t, method+" /graphql HTTP/1.1\r\nHost: x\r\nX-Marker: zzmarker\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "+fmt.Sprint(len(loginAliceBody))+"\r\n\r\n"+loginAliceBody, 5*time.Second)
		status := "HTTP/1.1 405 "
		if method == "OPTIONS" {
			status = "HTTP/1.1 204 "
		}
		if !strings.HasPrefix(answer, status) || !strings.Contains(answer, "\r\nAllow: GET, POST\r\n") || strings.Contains(answer, "zzmarker") || strings.Contains(answer, `"data"`) {
			t.Errorf("%s: %s", method, answer)
		}
		for _, path := range []string{"/", "/healthz", "/oauth/revoke", "/nothing"} {
			answer := f.raw(t, method+" "+path+" HTTP/1.1\r\nHost: x\r\nX-Marker: zzmarker\r\nConnection: close\r\n\r\n", 5*time.Second)
			if !strings.HasPrefix(answer, "HTTP/1.1 40") && method != "HEAD" || strings.Contains(answer, "zzmarker") {
				t.Errorf("%s %s: %s", method, path, answer)
			}
		}
	}
	for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"} {
		h := http.Header{header: {"POST"}, "Content-Type": {"application/json"}}
		for method, status := range map[string]int{http.MethodGet: 400, http.MethodPut: 405, http.MethodDelete: 405} {
			if r := f.Send(method, "/graphql?_method=POST", h, loginAliceBody); r.Status != status || r.Data != nil {
				t.Errorf("%s with %s: %d %s", method, header, r.Status, r.Body)
			}
		}
		h.Set(header, http.MethodGet) // nor is what is allowed turned into another
		if r := f.Send(http.MethodPost, "/graphql", h, documentBody("{ __typename }")); r.Text("__typename") != "Query" {
			t.Errorf("POST with %s: %d %s", header, r.Status, r.Body)
		}
	}
	f.wantNoLogin()
}

// The page stands where tokens are typed. T89.
func TestT089_GraphiQLLoadsNothingFromElsewhereAndCanBeOff(t *testing.T) {
	t.Parallel()
	f := startFront(t, dbtest.SQLite(t))
	r := f.Send(http.MethodGet, "/", http.Header{}, "")
	policy := r.Header.Values("Content-Security-Policy")
	if len(policy) != 1 || !strings.Contains(policy[0], "default-src 'none'") || !strings.Contains(policy[0], "frame-ancestors 'none'") || strings.Contains(policy[0], "unsafe") || strings.Contains(policy[0], "http") {
		t.Errorf("policy: %q", policy)
	}
	if r.Status != http.StatusOK || r.Header.Get("X-Frame-Options") != "DENY" || r.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d %v", r.Status, r.Header)
	}
	for _, elsewhere := range []string{"http:", "https:", `="//`, "<script>", " onload", " style="} {
		if strings.Contains(strings.ReplaceAll(r.Body, "http://www.w3.org", ""), elsewhere) {
			t.Errorf("the page has %q: %s", elsewhere, r.Body)
		}
	}
	off := startFront(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.GraphiQL = false })
	for _, path := range []string{"/", "/graphiql/", "/graphiql/app.js", "/graphiql/graphiql.min.js"} {
		if r := off.Send(http.MethodGet, path, http.Header{}, ""); r.Status != http.StatusNotFound {
			t.Errorf("off: %s: %d", path, r.Status)
		}
	}
}

// What is repeated can be script to a browser, a poisoned link to a cache. T90.
func TestT090_NoAnswerRepeatsTheRequest(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	const marker = "zzmarker"
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"*/*"}}
	for _, name := range []string{
		"X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Uri", "X-Original-Url",
		"X-Rewrite-Url", "X-Host", "Forwarded", "Origin", "Referer", "User-Agent", "X-Request-Id", "X-Correlation-Id",
		"Traceparent", "Cookie", "Accept-Language", "X-Script",
	} {
		h.Set(name, "https://"+marker+".example/<script>")
	}
	script := url.QueryEscape("<script>alert(1)</script>" + marker)
	paths := []string{
		"/", "/?query=" + script, "/?endpoint=//" + marker + ".example", "/graphiql/" + marker, "/graphiql/?x=" + script,
		"/graphql", "/graphql?query=" + script, "/graphql?query=%7B" + marker + "&variables=" + script,
		"/graphql?query=%7B__typename%7D&operationName=" + script, "/graphql?query=%7B__typename%7D&callback=" + marker,
		"/" + marker, "/" + script, "/%0d%0aX-Injected:%20" + marker, "/oauth/introspect?token=" + marker,
		"/oauth/revocations?" + marker,
		"/.well-known/jwks.json?" + marker, "/.well-known/oauth-authorization-server?" + marker, "/healthz?" + marker, "/readyz?" + marker,
		"//graphql?query=" + script, "/a/../" + marker, "/graphiql?x=" + script, "/./" + marker,
	}
	for _, path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			req, err := http.NewRequest(method, f.URL+path, strings.NewReader(`{"query":"{ __typename }","extensions":{"a":"`+marker+`"}}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header, req.Host = h.Clone(), marker+".example"
			resp, err := http.DefaultTransport.RoundTrip(req) // which follows no redirect
			if err != nil {
				t.Fatal(err)
			}
			var answer bytes.Buffer
			_ = resp.Header.Write(&answer)
			_, err = answer.ReadFrom(resp.Body)
			resp.Body.Close()
			if err != nil || strings.Contains(answer.String(), marker) || strings.Contains(answer.String(), "<script>alert") || resp.StatusCode >= 500 || resp.StatusCode/100 == 3 {
				t.Errorf("%s %s: %d %v\n%s", method, path, resp.StatusCode, err, answer.String())
			}
		}
	}
	for _, name := range []string{"Origin", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Connection"} { // a handshake that is refused
		h := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
		h.Set(name, "https://"+marker)
		if r := f.Send(http.MethodGet, "/graphql", h, ""); r.Status < 400 || r.Status >= 500 || r.Code() == "" || strings.Contains(r.Body, marker) {
			t.Errorf("a handshake with an odd %s: %d %s", name, r.Status, r.Body)
		}
	}
	for _, body := range []string{`{"query":"{ ` + marker + `(" }`, `{"query":"{ __typename(a: \"` + marker + `\") }"}`, `{"query":"{ node(id: \"` + marker + `\") { id } }"}`, `{"query":"query($a: Int) { users(first: $a) { totalCount } }","variables":{"a":"` + marker + `"}}`, `{"` + marker} {
		if r := f.post(body); strings.Contains(r.Body, marker) {
			t.Errorf("%s: %s", body, r.Body)
		}
	}
}

func TestT091_NothingIsServedThatIsNotMeantToBe(t *testing.T) {
	t.Parallel()
	f := startFront(t, dbtest.SQLite(t))
	for _, path := range []string{
		"/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/metrics", "/.env", "/.git/config", "/.git/HEAD", "/.well-known/",
		"/.well-known/openid-configuration", "/config", "/config.json", "/latchkey.db", "/latchkey.db-wal", "/latchkey.secret",
		"/server-status", "/actuator/env", "/admin", "/console", "/playground", "/altair", "/voyager", "/graphql/schema",
		"/schema.graphqls", "/swagger.json", "/favicon.ico.bak", "/robots.txt.bak", "/go.mod", "/main.go", "/backup.zip",
		"/graphiql/", "/graphiql/page/", "/graphiql/page/index.html", "/graphiql/assets/", "/graphiql/index.html",
		"/graphiql/..%2f..%2fgo.mod", "/graphiql/%2e%2e/%2e%2e/etc/passwd", "/graphiql/..%5c..%5cgo.mod", "/graphiql/%00",
		"/graphiql/app.js%00.txt",
		"/../../../../etc/passwd", "/graphiql/../../../../etc/passwd", "/..;/etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
		"/%252e%252e/etc/passwd", "/graphiql/....//....//etc/passwd", "//etc/passwd", "/graphiql//etc/passwd",
		"/file:///etc/passwd",
	} {
		r := f.Send(http.MethodGet, path, http.Header{}, "") // follows the redirects that clean a path up
		if r.Status != http.StatusNotFound && r.Status != http.StatusBadRequest || strings.Contains(r.Body, "root:") || len(r.Body) > 200 {
			t.Errorf("%s: %d %.300s", path, r.Status, r.Body)
		}
	}
}

// Two servers that see different requests in the same bytes let one user's request into another's. T92.
func TestT092_ARequestThatCanBeReadTwoWaysIsRefused(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	const smuggled = "GET /zzsmuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	post := func(headers, body string) string {
		return "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + headers + "\r\n" + body
	}
	n := fmt.Sprint(len(loginAliceBody))
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(loginAliceBody), loginAliceBody)
	for what, request := range map[string]string{
		"two lengths":                   post("Content-Length: 0\r\nContent-Length: "+n+"\r\n", loginAliceBody+smuggled),
		"two lengths in one":            post("Content-Length: 0, "+n+"\r\n", loginAliceBody+smuggled),
		"a length with +":               post("Content-Length: +"+n+"\r\n", loginAliceBody+smuggled),
		"a length below zero":           post("Content-Length: -1\r\n", loginAliceBody+smuggled),
		"a length in hex":               post("Content-Length: 0x10\r\n", loginAliceBody+smuggled),
		"a length with a space":         post("Content-Length: "+n[:1]+" "+n[1:]+"\r\n", loginAliceBody+smuggled),
		"no length":                     post("Content-Length:\r\n", loginAliceBody+smuggled),
		"a length past 64 bits":         post("Content-Length: 18446744073709551617\r\n", loginAliceBody+smuggled),
		"a length that is no number":    post("Content-Length: "+n+"a\r\n", loginAliceBody+smuggled),
		"space before the colon":        post("Content-Length : "+n+"\r\n", loginAliceBody+smuggled),
		"tab before the colon":          post("Transfer-Encoding\t: chunked\r\n", chunk+smuggled),
		"identity":                      post("Transfer-Encoding: identity\r\nContent-Length: "+n+"\r\n", loginAliceBody+smuggled),
		"xchunked":                      post("Transfer-Encoding: xchunked\r\nContent-Length: "+n+"\r\n", loginAliceBody+smuggled),
		"chunked, identity":             post("Transfer-Encoding: chunked, identity\r\n", chunk+smuggled),
		"gzip, chunked":                 post("Transfer-Encoding: gzip, chunked\r\n", chunk+smuggled),
		"chunked twice":                 post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunk+smuggled),
		"chunked and identity":          post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunk+smuggled),
		"chunked with a vertical tab":   post("Transfer-Encoding: \x0bchunked\r\nContent-Length: 4\r\n", chunk+smuggled),
		"chunked in quotes":             post("Transfer-Encoding: \"chunked\"\r\n", chunk+smuggled),
		"folded":                        post("Transfer-Encoding:\r\n chunked\r\nContent-Length: "+n+"\r\nX: a\r\n\tb\r\n: c\r\n", loginAliceBody+smuggled),
		"a line that is no header":      post("Content-Length: "+n+"\r\nnonsense\r\n", loginAliceBody+smuggled),
		"a header without a name":       post(": x\r\nContent-Length: "+n+"\r\n", loginAliceBody+smuggled),
		"NUL in a header":               post("X-A: a\x00b\r\nContent-Length: "+n+"\r\n", loginAliceBody+smuggled),
		"CR in a header":                post("X-A: a\rContent-Length: 0\r\nContent-Length: "+n+"\r\n", loginAliceBody+smuggled),
		"two hosts":                     "POST /graphql HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Type: application/json\r\nContent-Length: " + n + "\r\n\r\n" + loginAliceBody + smuggled,
		"no host":                       "POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " + n + "\r\n\r\n" + loginAliceBody + smuggled,
		"a space before the header":     "POST /graphql HTTP/1.1\r\n Host: x\r\nContent-Type: application/json\r\nContent-Length: " + n + "\r\n\r\n" + loginAliceBody + smuggled,
		"HTTP/0.9":                      "GET /graphql\r\n\r\n" + smuggled,
		"HTTP/1.10":                     "GET /graphql HTTP/1.10\r\nHost: x\r\n\r\n" + smuggled,
		"HTTP/2.0":                      "GET /graphql HTTP/2.0\r\nHost: x\r\n\r\n" + smuggled,
		"http/1.1":                      "GET /graphql http/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"two spaces":                    "GET  /graphql HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"a space in the path":           "GET /graphql x HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"a tab for a space":             "GET\t/graphql\tHTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"no slash":                      "GET graphql HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"nothing but an end of line":    "\n\n\n" + strings.Repeat("\r\n", 3) + "\x00" + smuggled,
		"TLS":                           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + smuggled,
		"a chunk's size with 0x":        post("Transfer-Encoding: chunked\r\n", "0x"+chunk+smuggled),
		"a chunk's size with +":         post("Transfer-Encoding: chunked\r\n", "+"+chunk+smuggled),
		"a chunk's size below zero":     post("Transfer-Encoding: chunked\r\n", "-1\r\n"+loginAliceBody+"\r\n0\r\n\r\n"+smuggled),
		"a chunk's size past 64 bits":   post("Transfer-Encoding: chunked\r\n", "1000000000000000f\r\n"+loginAliceBody+"\r\n0\r\n\r\n"+smuggled),
		"a chunk without an end":        post("Transfer-Encoding: chunked\r\n", strings.Replace(chunk, "}\r\n0", "}0", 1)+smuggled),
		"a chunk longer than it says":   post("Transfer-Encoding: chunked\r\n", strings.Replace(chunk, "}\r\n0", "}zz\r\n0", 1)+smuggled),
		"a chunk's size with a bare LF": post("Transfer-Encoding: chunked\r\n", strings.Replace(chunk, "\r\n", "\n", 1)+smuggled),
		"an extension with a bare LF":   post("Transfer-Encoding: chunked\r\n", strings.Replace(chunk, "\r\n", ";a\nb\r\n", 1)+smuggled),
		"a chunk's size in another way": post("Transfer-Encoding: chunked\r\n", strings.Replace(chunk, "\r\n", " 1\r\n", 1)+smuggled),
	} {
		answer := f.raw(t, request, 300*time.Millisecond)
		status, _, _ := strings.Cut(strings.TrimPrefix(answer, "HTTP/1.1 "), " ")
		if strings.Count(answer, "HTTP/1.1 ") > 1 || answer != "" && !slices.Contains([]string{"400", "501", "505"}, status) {
			t.Errorf("%s: %s", what, answer)
		}
	}
	f.wantNoLogin()
	f.alive(t)
}

// What can be read in one way only is read so. T92.
func TestT092_ARequestInAnOddFormHasOneMeaning(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	typename := documentBody("{ __typename }")
	for what, request := range map[string]string{
		// Go takes the chunks, as RFC 9112 has it; what the length would leave over is no request.
		"length and chunks": "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(typename), typename),
		// A proxy that took the length would treat the rest as another request: the connection is closed instead.
		"length and chunks, and another request": "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(typename), typename) + "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"chunks":                                 "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: Chunked\r\n\r\n" + fmt.Sprintf("%X;a=b\r\n%s\r\n0\r\nTrailer: x\r\n\r\n", len(typename), typename),
		"one length twice":                       "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 26\r\nContent-Length: 26\r\n\r\n" + typename,
		"bare LF":                                "POST /graphql HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 26\n\n" + typename,
		"absolute form":                          "POST http://evil.example/graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n" + typename,
		"HTTP/1.0":                               "POST /graphql HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n" + typename,
		"HTTP/1.0, chunks":                       "POST /graphql HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 26\r\n\r\n" + typename,
	} {
		answer := f.raw(t, request, 300*time.Millisecond)
		one := strings.Count(answer, "HTTP/1.1 ")+strings.Count(answer, "HTTP/1.0 ") == 1
		if refused := strings.HasPrefix(answer, "HTTP/1.1 400") || strings.HasPrefix(answer, "HTTP/1.1 421"); !one || !refused && !strings.Contains(answer, `{"data":{"__typename":"Query"}}`) || strings.Contains(answer, "evil") {
			t.Errorf("%s: %s", what, answer)
		}
	}
}

func TestT093_HugeAndOddHeadersAreRefusedAndNotRepeated(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	head := "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	for what, request := range map[string]string{
		"3 MB in one":       head + "X-A: " + strings.Repeat("a", 3<<20) + "\r\n\r\n",
		"3 MB in many":      head + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 3000) + "\r\n",
		"100,000 cookies":   head + "Cookie: " + strings.Repeat("a=b; ", 100_000) + "\r\n\r\n",
		"a cookie each":     head + strings.Repeat("Cookie: a=b\r\n", 100_000) + "\r\n",
		"a long path":       "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"a header, no end":  head + strings.Repeat("a", 1<<20),
		"many short names":  head + strings.Repeat("a:\r\n", 100_000) + "\r\n",
		"a token of 700 kB": head + "Authorization: Bearer " + strings.Repeat("a", 700_000) + "\r\n\r\n",
	} {
		start := time.Now()
		answer := f.raw(t, request, 5*time.Second)
		wantQuick(t, what, start)
		if answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 431 ") || len(answer) > 1000 {
			t.Errorf("%s: %.300s", what, answer)
		}
	}
	for what, header := range map[string]string{
		"script": "X-Request-Id: <script>zzmarker</script>", "CRLF, encoded": "X-Request-Id: a%0d%0aX-Injected: zzmarker",
		"a name like a template": "User-Agent: ${jndi:ldap://zzmarker}", "latin-1": "X-Request-Id: \xe9zzmarker",
		"a bare CR": "X-Request-Id: a\rX-Injected: zzmarker", "NUL": "X-Request-Id: a\x00zzmarker",
		"ESC": "X-Request-Id: \x1b[31mzzmarker", "a name with a slash": "X/zzmarker: 1",
		"a name that is no ASCII": "X-zzmarker-é: 1",
	} {
		answer := f.raw(t, head+header+"\r\n\r\n", 5*time.Second)
		if !strings.HasPrefix(answer, "HTTP/1.1 200") && !strings.HasPrefix(answer, "HTTP/1.1 400") || strings.Contains(answer, "zzmarker") || strings.Contains(answer, "X-Injected") {
			t.Errorf("%s: %s", what, answer)
		}
	}
	if strings.Contains(f.Logged(), "zzmarker") {
		t.Errorf("the log repeats it: %s", f.Logged())
	}
	f.alive(t)
}

func TestT094_AMalformedBodyGetsACodeAndNoEcho(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	const secret = "zz-secret-zz"
	bodies := []string{
		"", " ", "\x00", "null", "true", "7", `"` + secret + `"`, `[]`, `[{}]`, `{}`, `{`, `{"`, `{"query"`, `{"query":`,
		`{"query":"` + secret, `{"query":"{ me { id } }"`, `{"query":"{ me { id } }",}`, `{'query':'` + secret + `'}`,
		`{query:"` + secret + `"}`,
		`{"query":null}`, `{"query":7}`, `{"query":["` + secret + `"]}`, `{"query":{"a":"` + secret + `"}}`, `{"query":""}`,
		`{"query":"   "}`, `{"query":"{ __typename }"} ` + secret, `{"query":"{ __typename }"}{"query":"` + secret + `"}`,
		`{"query":"{ __typename }","variables":"` + secret + `"}`, `{"query":"{ __typename }","variables":[]}`,
		`{"query":"{ __typename }","variables":7}`, `{"query":"{ __typename }","operationName":{"a":"` + secret + `"}}`,
		`{"query":"{ __typename }","operationName":"` + secret + `"}`,
		`{"query":"{ __typename }","extensions":["` + secret + `"]}`, "\xef\xbb\xbf" + loginAliceBody,
		"{\"query\":\"{ __typename } # \xff\xfe\"}", "{\"query\":\"{ __typename\n }\"}", `{"query":"{ __typename \u00zz }"}`,
		`{"query":"{ __typename \ud800 }"}`, `{"query":"{ __typename \u0000 }"}`,
		`{"query":"mutation { login(input: {username: \"alice\", password: \"` + secret + `\"}) "}`,
		`{"query":"mutation { login(input: {username: \"alice\", password: \"` + secret + `) { accessToken } }"}`,
		`{"query":"mutation { login(input: {password: \"` + secret + `\"}) { accessToken } }"}`,
		`{"query":"mutation { login(password: \"` + secret + `\") { accessToken } }"}`,
		`<?xml version="1.0"?><a>` + secret + `</a>`, "query=" + secret, "--x\r\n" + secret, "\x1f\x8b\x08\x00" + secret,
		`{"query":"{ __typename }","query":7}`,
	}
	if len(bodies) < 42 {
		t.Errorf("only %d bodies", len(bodies))
	}
	for _, body := range bodies {
		r := f.post(body)
		wantHarmless(t, body, r)
		if r.Status < 400 || r.Status >= 500 || r.Code() == "" || r.Data != nil || strings.Contains(r.Body, secret) || strings.Contains(r.Body, servertest.AlicePassword) || !strings.HasPrefix(r.Header.Get("Content-Type"), servertest.GraphQLResponse) {
			t.Errorf("%q: %d %v %s", body, r.Status, r.Header, r.Body)
		}
	}
	for _, path := range []string{
		"/graphql/", "/graphql/x", "/GRAPHQL", "/Graphql", "/graphql;x=y", "/graphql%2f", "/graphql%00", "/graphql%20",
		"/graphql.json", "/graphql.php", "/v1/graphql", "/api/graphql", "/graphql%3fquery=x", "/graph%71l/", "/%2fgraphql",
		"/query", "/graphql~", "/graphql:80",
	} {
		r := f.Send(http.MethodPost, path, http.Header{"Content-Type": {"application/json"}}, loginAliceBody)
		wantHarmless(t, path, r)
		if r.Status != http.StatusNotFound || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || strings.Contains(r.Body, "raph") {
			t.Errorf("%s: %d %v %s", path, r.Status, r.Header, r.Body)
		}
	}
	f.wantNoLogin()
	if strings.Contains(f.Logged(), secret) || strings.Contains(f.Logged(), servertest.AlicePassword) {
		t.Errorf("the log has a secret: %s", f.Logged())
	}
}

// Without HSTS the first request of each day can be led astray. T95.
func TestT095_BrowsersAreToldToKeepToHTTPS(t *testing.T) {
	t.Parallel()
	const header = "Strict-Transport-Security"
	trusting := startFront(t, dbtest.SQLite(t))
	for _, path := range []string{"/", "/graphql", "/healthz", "/nothing"} {
		r := trusting.Send(http.MethodGet, path, http.Header{"X-Forwarded-Proto": {"https"}}, "")
		if r.Header.Get(header) != "max-age=31536000" {
			t.Errorf("%s behind TLS: %v", path, r.Header)
		}
		for _, proto := range []string{"", "http", "HTTPS,http", "ftp"} {
			if r := trusting.Send(http.MethodGet, path, http.Header{"X-Forwarded-Proto": {proto}}, ""); r.Header.Get(header) != "" {
				t.Errorf("%s by %q: %v", path, proto, r.Header)
			}
		}
	}
	direct := startFront(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.Proxies = nil })
	if r := direct.Send(http.MethodGet, "/graphql", http.Header{"X-Forwarded-Proto": {"https"}}, ""); r.Header.Get(header) != "" {
		t.Errorf("an untrusted client says https: %v", r.Header)
	}
}

// Proxies that look at HTTP/1 let pass what they do not understand. T95.
func TestT095_HTTP2NeedsTLS(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	upgrade := f.raw(t, "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", 5*time.Second)
	if !strings.HasPrefix(upgrade, "HTTP/1.1 400 ") {
		t.Errorf("upgrade: %q", upgrade)
	}
	preface := f.raw(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 5*time.Second)
	if !strings.HasPrefix(preface, "HTTP/1.1 ") || !strings.Contains(preface, "Connection: close") || strings.Contains(preface, " 200 ") {
		t.Errorf("preface: %q", preface)
	}
}

// One connection that opens and resets streams without end must not take the server from others. T95.
func TestT095_AFloodOfResetsDoesNotStopTheServer(t *testing.T) {
	t.Parallel()
	if goversion.Compare(runtime.Version(), "go1.26.6") < 0 {
		t.Errorf("%s has a known fault here", runtime.Version())
	}
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	address, roots := serveOverTLS(t, f.Server)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	frame := func(kind, flags byte, stream int, payload string) string {
		return string([]byte{0, 0, byte(len(payload)), kind, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}) + payload
	}
	const headers, reset, settings = 1, 3, 4
	var flood strings.Builder
	flood.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(settings, 0, 0, ""))
	for stream := 1; stream < 40_000; stream += 2 {
		flood.WriteString(frame(headers, 5, stream, "\x82\x87\x04\x08/graphql\x41\x01x") + frame(reset, 0, stream, "\x00\x00\x00\x08"))
	}
	go func() { _, _ = io.WriteString(conn, flood.String()) }() // the server may end the connection
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	for range 20 {
		start := time.Now()
		r, err := http.NewRequest(http.MethodPost, "https://"+address+"/graphql", strings.NewReader(documentBody("{ __typename }")))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "X-Forwarded-For": {"198.51.100.1"}} // the flood has used up its own rate
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		wantQuick(t, "a query beside the flood", start)
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || resp.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s %s %v", resp.Proto, resp.Status, resp.Header)
		}
	}
}

// serveOverTLS serves as `latchkey serve --tls-cert` does.
func serveOverTLS(t *testing.T, s *servertest.Server) (address string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	for file, text := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := app.WithTLS(plain, certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := s.Serve(ctx, listener); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { stop(); <-served })
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return plain.Addr().String(), roots
}
