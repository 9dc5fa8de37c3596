//go:build unix

package damaged

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

// An attempt is what is sent, and what may come of it.
type attempt struct {
	text   string
	method string
	broken bool // as HTTP: net/http itself may answer, and in its own words
	bad    bool // the token: whatever is locked must stay locked
	open   bool // it may go on for ever, as a subscription does
}

// patience is how long an answer may take.
const patience = 5 * time.Second

// leak is what no answer may contain: parts of SQL, of Go, of paths, and suggestions of names.
var leak = regexp.MustCompile(`Did you mean|(?i:sqlite|modernc|goroutine|runtime error|stack trace|postgres)|SELECT |INSERT |UPDATE |\.go:|/home/|/usr/|/tmp/|INTERNAL_SERVER_ERROR|internal error`)

// request writes a request with a body; header lines end with CR LF.
func (s *sender) request(method, path, header, body string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: latchkey.test\r\nX-Forwarded-For: " + s.address() + "\r\n" + header + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
}

// address is where the sender connects from; after wrong guesses an address is soon refused.
func (s *sender) address() string {
	return fmt.Sprintf("10.%d.%d.%d", s.IntN(256), s.IntN(256), s.IntN(256))
}

const asJSON = "Content-Type: application/json\r\n"

// aGoodRequest is the members of one, with variables apart.
func (s *sender) goodRequest() (o operation, members []member) {
	o = pick(s.damage, s.operations)
	return o, []member{{"query", quote(o.query)}, {"variables", object(o.variables)}}
}

func (s *sender) bearer(o operation) string {
	return "Authorization: Bearer " + s.tokens[o.caller] + "\r\n"
}

// The attempts over HTTP.

func (s *sender) damagedBytes() attempt {
	o, members := s.goodRequest()
	return attempt{method: "POST", text: s.request("POST", "/graphql", asJSON+s.bearer(o), s.bytes(object(members)))}
}

func (s *sender) damagedStructure() attempt {
	o, members := s.goodRequest()
	if s.oneIn(2) {
		members[1].value = object(s.members(o.variables))
	} else {
		members = s.members(append(members, member{"operationName", pick(s.damage, []string{"null", `""`, `"x"`})}, member{"extensions", pick(s.damage, []string{"{}", "null", `{"persistedQuery":{"version":1,"sha256Hash":"x"}}`})}))
	}
	body := object(members)
	if s.oneIn(12) {
		body = pick(s.damage, []string{"[" + body + "]", body + body, quote(body), "\ufeff" + body, " " + body + "\n", s.oddValue()})
	}
	return attempt{method: "POST", text: s.request("POST", "/graphql", asJSON+s.bearer(o)+s.accept(), body)}
}

func (s *sender) damagedDocument() attempt {
	o, members := s.goodRequest()
	query := s.document(o.query)
	members[0].value = quote(query)
	if s.oneIn(4) {
		path := "/graphql?" + url.Values{"query": {query}, "variables": {members[1].value}}.Encode()
		return attempt{method: "GET", text: s.request("GET", path, s.bearer(o)+s.accept(), "")}
	}
	return attempt{method: "POST", text: s.request("POST", "/graphql", asJSON+s.bearer(o)+s.accept(), object(members))}
}

func (s *sender) accept() string {
	return pick(s.damage, []string{"", "", "Accept: application/graphql-response+json\r\n", "Accept: */*;q=0.1, application/json;q=NaN\r\n", "Accept: ,;q=,\"\r\nAccept: text/html\r\n", "Accept-Encoding: gzip;q=0, br, *\r\n"})
}

// damagedToken must be refused wherever something is locked.
func (s *sender) damagedToken() attempt {
	kind := pick(s.damage, []string{"alice", "alice's refresh token", "auditor"})
	token := s.token(s.tokens[kind])
	if s.oneIn(3) {
		body := `{"query":"mutation($t: String!) { refresh(input: {refreshToken: $t}) { accessToken } }","variables":{"t":` + quote(s.token(s.tokens["alice's refresh token"])) + `}}`
		return attempt{method: "POST", bad: true, text: s.request("POST", "/graphql", asJSON, body)}
	}
	header := pick(s.damage, []string{"Authorization: Bearer " + token, "Authorization: Token " + token, "Authorization: Bearer x\r\nAuthorization: Bearer " + s.tokens["alice"], "Authorization: Basic " + token, "Authorization: " + token, "Authorization: Bearer " + token + ", Bearer " + token, "Cookie: token=" + s.tokens["alice"], "X-Authorization: Bearer " + s.tokens["alice"]})
	return attempt{method: "POST", bad: true, text: s.request("POST", "/graphql", asJSON+header+"\r\n", `{"query":"{ me { id username } }"}`)}
}

// damagedHTTP breaks what is around the body: net/http answers most of it.
func (s *sender) damagedHTTP() attempt {
	o, members := s.goodRequest()
	body := object(members)
	header := asJSON + s.bearer(o)
	a := attempt{broken: true, method: "POST"}
	switch s.IntN(8) {
	case 0:
		a.text = s.bytes(s.request("POST", "/graphql", header, body))
	case 1: // lines of the header
		head, rest, _ := strings.Cut(s.request("POST", "/graphql", header, body), "\r\n\r\n")
		a.text = s.bytes(head) + "\r\n\r\n" + rest
	case 2: // framing
		framing := pick(s.damage, []string{
			"Content-Length: 5\r\nContent-Length: 6\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "Transfer-Encoding: identity, chunked\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding : chunked\r\n", "Content-Length: +5\r\n", "Content-Length: -1\r\n", "Content-Length: 0x10\r\n", "Content-Length: 99999999999999999999\r\n", "Content-Length:\r\n",
			"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 1000000\r\n",
		})
		a.text = "POST /graphql HTTP/1.1\r\nHost: x\r\n" + header + framing + "\r\n" + pick(s.damage, []string{body, "5\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\nx", "-1\r\n", "0\r\n\r\n", "2;a=\"b\r\n{}\r\n0\r\nTrailer: x\r\n\r\n", "7fffffff\r\n" + body})
	case 3: // the first line
		a.method = pick(s.damage, []string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "CONNECT", "PROPFIND", "post", "P\x00ST", "", "GET GET"})
		path := pick(s.damage, []string{"/graphql", "*", "http://evil.example/graphql", "//evil.example/graphql", "/graphql/../graphql", "/graphql%00", "/graphql?query=%", "/%2e%2e/etc/passwd", "/graphql;x", "/" + strings.Repeat("a/", s.IntN(20_000)), "graphql", "\\graphql", "/graphql?" + strings.Repeat("a=b&", s.IntN(9000))})
		a.text = a.method + " " + path + " " + pick(s.damage, []string{"HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1 x", "http/1.1", ""}) + "\r\nHost: x\r\n" + header + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
	case 4: // size
		a.text = "POST /graphql HTTP/1.1\r\nHost: x\r\n" + pick(s.damage, []string{"X-Long: " + strings.Repeat("x", s.IntN(200_000)) + "\r\n", strings.Repeat("X-Many: y\r\n", s.IntN(9000)), "Cookie: " + strings.Repeat("a=b; ", s.IntN(9000)) + "\r\n"}) + header + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
	case 5: // protocols
		a.text = pick(s.damage, []string{
			"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "SSH-2.0-x\r\n", "\r\n\r\n\r\n", "\x00\x00\x00\x00", "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
			"GET /\r\n", "POST /graphql HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "POST /graphql HTTP/1.1\r\nHost: x\r\nExpect: x\r\nContent-Length: 0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n",
		})
	case 6: // one after the other, the second damaged
		a.text = s.request("POST", "/graphql", header, body) + s.bytes(s.request("POST", "/graphql", header, body))
	case 7: // cut off
		whole := s.request("POST", "/graphql", header, body)
		a.text = whole[:s.IntN(len(whole))]
	}
	return a
}

// damagedNegotiation is well-formed HTTP that wants something else.
func (s *sender) damagedNegotiation() attempt {
	o, members := s.goodRequest()
	header := s.bearer(o)
	for range 1 + s.IntN(3) {
		header += pick(s.damage, []string{
			"Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n", "Content-Type: multipart/form-data; boundary=x\r\n", "Content-Type: application/json; charset=utf-7\r\n", "Content-Type: application/json; charset\r\n", "Content-Type: ;;;\r\n", "Content-Type: application/graphql\r\n", "Content-Type: application/json\r\n", "Content-Type: \r\n",
			"Content-Encoding: gzip\r\n", "Content-Encoding: identity\r\n", "Accept: image/png\r\n", "Accept: " + strings.Repeat("a/b;q=0.1,", s.IntN(2000)) + "\r\n", "Accept: text/event-stream;q=0.1, */*\r\n", "Origin: null\r\n", "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n", "X-HTTP-Method-Override: DELETE\r\n", "Range: bytes=0-1\r\n", "If-None-Match: *\r\n",
			"Traceparent: 00-x\r\n", "X-Request-Id: x\r\n", "X-Forwarded-Proto: javascript\r\n", "X-Forwarded-For: fe80::1%eth0, unknown, 1.2.3.4:80\r\n", "User-Agent: \xff\xfe\x80\r\n", "Forwarded: for=\"[::1]\"\r\n", "Connection: close, x, Authorization\r\n", "Upgrade: websocket\r\n", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 7\r\n", "TE: trailers\r\n",
		})
	}
	method := pick(s.damage, []string{"POST", "POST", "POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS"})
	path := pick(s.damage, []string{"/graphql", "/graphql", "/graphql", "/graphql?query={me{id}}&variables=[", "/graphql?query=%ff", "/graphql?query={__typename}&access_token=x", "/", "/healthz", "/readyz", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/graphiql/x.js", "/metrics", "/.env", "/debug/pprof/"})
	return attempt{method: method, text: s.request(method, path, header, object(members))}
}

func (s *sender) damagedOAuth() attempt {
	path := pick(s.damage, []string{"/oauth/introspect", "/oauth/introspect", "/oauth/revoke", "/oauth/revocations", "/oauth/token", "/oauth/introspect/"})
	form := pick(s.damage, []string{"token=" + url.QueryEscape(s.token(s.tokens["alice"])), "token=" + url.QueryEscape(s.token(s.tokens["alice's refresh token"])), "token=" + s.bytes("lk_x"), "token=%00%ff", "token=a&token=b", "token", "", "token=" + strings.Repeat("x", s.IntN(40_000)), "token=x&token_type_hint=" + url.QueryEscape(pick(s.damage, pieces)), s.bytes("token=x&a=b"), s.oddValue()})
	header := pick(s.damage, []string{"Content-Type: application/x-www-form-urlencoded\r\n", "Content-Type: application/x-www-form-urlencoded\r\n", asJSON, "Content-Type: multipart/form-data\r\n", ""}) +
		pick(s.damage, []string{"Authorization: Bearer " + s.tokens["service"] + "\r\n", "Authorization: Bearer " + s.tokens["service"] + "\r\n", "Authorization: Basic eDp5\r\n", "Authorization: Basic \xff\r\n", s.bearer(operation{caller: "mallory"}), "", "Authorization: Bearer " + s.token(s.tokens["service"]) + "\r\n"})
	method := "POST"
	if path == "/oauth/revocations" || s.oneIn(8) {
		method, form = "GET", ""
	}
	return attempt{method: method, open: path == "/oauth/revocations", text: s.request(method, path, header, form)}
}

var subscriptions = []string{`subscription { securityEvents { kind userId } }`, `subscription { allSecurityEvents { kind id at ip } }`, `subscription { a: securityEvents { kind } b: securityEvents { id } }`}

func (s *sender) damagedStream() attempt {
	o, members := s.goodRequest()
	if s.oneIn(2) {
		o = operation{caller: o.caller, query: pick(s.damage, subscriptions)}
		members = []member{{"query", quote(o.query)}}
	}
	if s.oneIn(2) {
		members[0].value = quote(s.document(o.query))
	}
	return attempt{method: "POST", open: true, text: s.request("POST", "/graphql", asJSON+s.bearer(o)+pick(s.damage, []string{"Accept: text/event-stream\r\n", "Accept: text/event-stream, application/json;q=0.9\r\n", "Accept: TEXT/EVENT-STREAM;q=1.0\r\nLast-Event-ID: \xff\r\n"}), object(members))}
}

// try sends an attempt and holds the answer to the promises. An error is a broken one.
func (s *sender) try(a attempt) error {
	conn, err := s.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(conn, a.text) // the server may close before it has read all
		if a.broken {
			_ = conn.CloseWrite() // so that it does not wait for the rest
		}
	}()
	defer func() { <-written }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, &http.Request{Method: a.method})
	for err == nil && resp.StatusCode == http.StatusContinue {
		resp, err = http.ReadResponse(reader, &http.Request{Method: a.method})
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %v", patience)
	case err != nil && a.broken:
		return nil // closed without a word, or an answer to HTTP/0.9
	case err != nil:
		return fmt.Errorf("no answer: %w", err)
	}
	defer resp.Body.Close()
	if a.open {
		_ = conn.SetDeadline(time.Now().Add(50*time.Millisecond + time.Duration(s.IntN(100))*time.Millisecond))
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil && !a.broken && !(a.open && errors.Is(err, os.ErrDeadlineExceeded)) {
		return fmt.Errorf("half an answer, %d: %w: %.200q", resp.StatusCode, err, body)
	}
	return s.judge(a, resp, string(body))
}

// judge says what is wrong with an answer.
func (s *sender) judge(a attempt, resp *http.Response, body string) error {
	status := resp.StatusCode
	theirs := a.broken && (status == http.StatusNotImplemented || status == http.StatusHTTPVersionNotSupported) // net/http's, of what HTTP never was
	if status >= 500 && (status != 503 || resp.Header.Get("Retry-After") == "") && !theirs {
		return fmt.Errorf("status %d: %.300q", status, body)
	}
	if found := leak.FindString(body); found != "" && !strings.Contains(a.text, found) && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return fmt.Errorf("the answer says %q: %.300q", found, body)
	}
	toGraphQL := strings.HasPrefix(a.text, a.method+" /graphql ") || strings.HasPrefix(a.text, a.method+" /graphql?")
	if a.broken || !toGraphQL || status == http.StatusSwitchingProtocols || strings.Contains(a.text, "\r\nUpgrade: websocket") {
		return nil
	}
	if resp.Header.Get("X-Request-Id") == "" && resp.Header.Get("Connection") == "close" || a.method == "OPTIONS" {
		return nil // net/http's own, of a header that cannot be
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		for line := range strings.SplitSeq(body, "\n") {
			if data, ok := strings.CutPrefix(line, "data: "); ok && strings.HasSuffix(body, "\n") {
				if err := judgeAnswer(a, data); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return judgeAnswer(a, body)
}

// judgeAnswer says what is wrong with a GraphQL answer.
func judgeAnswer(a attempt, text string) error {
	var answer struct {
		Data   map[string]any
		Errors []gqlError
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return fmt.Errorf("the answer is no JSON: %w: %.300q", err, text)
	}
	if a.bad && (answer.Data["me"] != nil || answer.Data["refresh"] != nil) {
		return fmt.Errorf("a damaged token opens: %.300q", text)
	}
	if answer.Data == nil && len(answer.Errors) == 0 && !strings.Contains(text, `"data":null`) {
		return fmt.Errorf("neither data nor errors: %.300q", text)
	}
	return judgeErrors(answer.Errors, text)
}

type gqlError struct {
	Message    string
	Extensions map[string]any
}

func judgeErrors(all []gqlError, text string) error {
	for _, e := range all {
		if code, _ := e.Extensions["code"].(string); code == "" || e.Message == "" {
			return fmt.Errorf("an error without a code: %.300q", text)
		}
	}
	if len(all) > 10 {
		return fmt.Errorf("%d errors", len(all))
	}
	return nil
}

// dial connects. The connection's end is a reset, so that thousands of them do not use up the ports.
func (s *sender) dial() (*net.TCPConn, error) {
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.server.url, "http://"), patience)
	if err != nil {
		return nil, fmt.Errorf("the server does not accept: %w", err)
	}
	tcp := conn.(*net.TCPConn)
	return tcp, tcp.SetLinger(0)
}
