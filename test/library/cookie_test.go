package library

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

const (
	logIn    = `mutation { login(input: {username: \"ann\", password: \"the password of ann\"}) { accessToken refreshToken } }`
	refresh  = `mutation { refresh { accessToken refreshToken } }`
	withNull = `mutation { refresh(input: {refreshToken: null}) { accessToken refreshToken } }`
	logOut   = `mutation { logout { endedSessions } }`
	page     = "https://app.example.com"
)

// A browser sends the cookies that a server has set, for HTTPS too.
type browser struct {
	t       *testing.T
	url     string
	cookies *cookiejar.Jar
}

func newBrowser(t *testing.T, s *servertest.Server) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, s.URL, jar}
}

// secure is where the cookies live: a test's server has no TLS.
var secure = &url.URL{Scheme: "https", Host: "latchkey.test"}

// post sends an operation with the headers, as pairs of name and value.
func (b *browser) post(query string, headers ...string) (response *http.Response, body string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+"/graphql", strings.NewReader(`{"query": "`+query+`"}`))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	for _, c := range b.cookies.Cookies(secure) {
		r.AddCookie(c)
	}
	response, err = http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.cookies.SetCookies(secure, response.Cookies())
	return response, string(text)
}

// kept is the refresh token in the cookie, or "".
func (b *browser) kept() string {
	for _, c := range b.cookies.Cookies(secure) {
		return c.Value
	}
	return ""
}

func (b *browser) want(text, query string, headers ...string) {
	b.t.Helper()
	if _, body := b.post(query, headers...); !strings.Contains(body, text) {
		b.t.Errorf("%s with %v: got %s, want %s", query, headers, body, text)
	}
}

// T187, T188.
func TestTheCookieKeepsTheRefreshTokenFromScripts(t *testing.T) {
	t.Setenv("LATCHKEY_COOKIE", "strict")
	servertest.Each(t, app.Options{}, func(t *testing.T, s *servertest.Server) {
		s.User("ann")
		b := newBrowser(t, s)
		asks := []string{auth.CookieHeader, "cookie", "Sec-Fetch-Site", "same-origin"}
		response, body := b.post(logIn, asks...)
		set := response.Header.Get("Set-Cookie")
		for _, want := range []string{"__Host-latchkey=lr_", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Max-Age="} {
			if !strings.Contains(set, want) {
				t.Errorf("the cookie %q lacks %s", set, want)
			}
		}
		if strings.Contains(set, "Domain") || strings.Contains(body, "lr_") || !strings.Contains(body, `"refreshToken":null`) {
			t.Errorf("got %s and %s", set, body)
		}
		first := b.kept()
		b.want(`"refreshToken":null`, refresh, asks...)
		if second := b.kept(); second == first || !strings.HasPrefix(second, "lr_") {
			t.Errorf("the refresh left the cookie %s", second)
		}
		b.want(`"refreshToken":null`, withNull, asks...)
		b.want("MISSING", `{ me { id } }`, asks...) // the cookie is for refresh alone

		_, body = b.post(refresh, asks...)
		access := strings.Split(strings.SplitAfter(body, `"accessToken":"`)[1], `"`)[0]
		b.want(`"endedSessions":1`, logOut, append(asks, "Authorization", "Bearer "+access)...)
		if kept := b.kept(); kept != "" {
			t.Errorf("the log-out left the cookie %s", kept)
		}
		b.want("MISSING", refresh, asks...)
	})
}

// T187.
func TestTheCookieIsOfUseToPagesOfTheServerAndItsOriginsAlone(t *testing.T) {
	t.Setenv("LATCHKEY_COOKIE", "none")
	t.Setenv("LATCHKEY_ORIGINS", page)
	s := servertest.Start(t, app.Options{}, dbtest.SQLite(t))
	s.User("ann")
	b := newBrowser(t, s)
	asks := []string{auth.CookieHeader, "cookie"}
	b.want("accessToken", logIn, asks...) // no browser, such as a server that renders pages
	kept := b.kept()
	for _, c := range []struct {
		want    string
		headers []string
	}{
		{"MALFORMED", nil}, // a form of another site cannot set the header
		{"MALFORMED", []string{"Origin", page, "Sec-Fetch-Site", "cross-site"}},
		{"FORBIDDEN", append(asks, "Sec-Fetch-Site", "cross-site")},
		{"FORBIDDEN", append(asks, "Sec-Fetch-Site", "same-site", "Origin", "https://evil.example.com")},
		{"FORBIDDEN", append(asks, "Origin", "https://evil.example.com")},
		{"FORBIDDEN", append(asks, "Origin", "null")},
		{"FORBIDDEN", append(asks, "Accept", "text/event-stream")},
		{"FORBIDDEN", append(asks, "Accept", "application/json;q=0.9, "+servertest.Multipart)},
		{"accessToken", append(asks, "Origin", page, "Sec-Fetch-Site", "cross-site")},
		{"accessToken", append(asks, "Origin", "http://latchkey.test", "Sec-Fetch-Site", "same-origin")},
	} {
		b.want(c.want, refresh, c.headers...)
		if b.kept() == "" {
			t.Fatalf("%v: the cookie was deleted", c.headers)
		}
	}
	if b.kept() == kept {
		t.Error("the cookie was not renewed")
	}
	b.want("FORBIDDEN", logIn, append(asks, "Origin", "https://evil.example.com")...) // nor log the user in as another
	response, _ := b.post(refresh, append(asks, "Origin", page)...)
	if response.Header.Get("Access-Control-Allow-Credentials") != "true" || response.Header.Get("Access-Control-Allow-Origin") != page {
		t.Errorf("the page cannot read the response: %v", response.Header)
	}
}

// T189.
func TestAStolenCookieEndsTheSessionAndIsDeleted(t *testing.T) {
	t.Setenv("LATCHKEY_COOKIE", "lax")
	servertest.Each(t, app.Options{}, func(t *testing.T, s *servertest.Server) {
		s.User("ann")
		b := newBrowser(t, s)
		asks := []string{auth.CookieHeader, "cookie"}
		b.post(logIn, asks...)
		stolen := b.cookies.Cookies(secure)
		for range 2 {
			_, body := b.post(refresh, asks...)
			access := strings.Split(strings.SplitAfter(body, `"accessToken":"`)[1], `"`)[0]
			b.want("ann", `{ me { username } }`, "Authorization", "Bearer "+access)
			s.Clock.Advance(11e9)
		}
		thief := newBrowser(t, s)
		thief.cookies.SetCookies(secure, stolen)
		thief.want("REFRESH_REUSED", refresh, asks...)
		b.want("REFRESH_REUSED", refresh, asks...)
		if kept := b.kept(); kept != "" {
			t.Errorf("a cookie that is of no use stayed: %s", kept)
		}
	})
}

// T190.
func TestWithoutTheSettingNoCookieIsSetOrRead(t *testing.T) {
	s := servertest.Start(t, app.Options{}, dbtest.SQLite(t))
	s.User("ann")
	b := newBrowser(t, s)
	response, body := b.post(logIn, auth.CookieHeader, "cookie")
	if len(response.Cookies()) > 0 || !strings.Contains(body, `"refreshToken":"lr_`) {
		t.Errorf("got %v and %s", response.Cookies(), body)
	}
	token := strings.Split(strings.SplitAfter(body, `"refreshToken":"`)[1], `"`)[0]
	b.want("MALFORMED", refresh, auth.CookieHeader, "cookie", "Cookie", "__Host-latchkey="+token)
}

// The second step of a login sets the cookie, and the first does not. T187.
func TestASecondFactorEndsInTheCookieToo(t *testing.T) {
	t.Setenv("LATCHKEY_COOKIE", "strict")
	servertest.Each(t, app.Options{}, func(t *testing.T, s *servertest.Server) {
		ann := s.User("ann")
		secret := ann.Ask(`mutation { startTotp { secret } }`).Want("").Text("startTotp.secret")
		ann.Ask(`mutation($c: String!) { confirmTotp(input: {code: $c}) { factor { id } } }`, "c", servertest.TOTP(t, secret, s.Clock.Now())).Want("")
		s.Clock.Advance(30 * time.Second)
		b := newBrowser(t, s)
		asks := []string{auth.CookieHeader, "cookie", "Sec-Fetch-Site", "same-origin"}
		_, body := b.post(logIn, asks...)
		challenge := regexp.MustCompile(`lc_[\w.-]+`).FindString(body)
		if b.kept() != "" || challenge == "" {
			t.Fatalf("after the password: %s", body)
		}
		complete := `mutation { completeLogin(input: {challenge: \"` + challenge + `\", code: \"` + servertest.TOTP(t, secret, s.Clock.Now()) + `\"}) { accessToken refreshToken } }`
		b.want("FORBIDDEN", complete, auth.CookieHeader, "cookie", "Sec-Fetch-Site", "cross-site")
		b.want(`"refreshToken":null`, complete, asks...)
		if kept := b.kept(); !strings.HasPrefix(kept, "lr_") {
			t.Errorf("after the code, the cookie is %q", kept)
		}
		b.want(`"refreshToken":null`, refresh, asks...)
	})
}
