package auth

import (
	"net/http"
	"net/url"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/stream"
)

// Browsers may keep the refresh token in a cookie, where scripts of the page cannot read it. A request asks for that by the
// header Latchkey-Session: cookie, which pages of other origins cannot send without CORS. Then login and refresh set the
// cookie and leave the token out of the payload, refresh reads it, and logout deletes it. Nothing else reads the cookie.

// CookieHeader is the request header by which a client asks for the cookie; its value is "cookie".
const CookieHeader = "Latchkey-Session"

// sessionCookie has the prefix that binds it to this host, to HTTPS and to the path / (RFC 6265bis, section 4.1.3.2): a
// sibling domain cannot set it.
const sessionCookie = "__Host-latchkey"

// Cookies say whether and how refresh tokens travel in cookies.
type Cookies struct {
	SameSite http.SameSite // 0: no cookies; otherwise the attribute
	Origins  []string      // besides the issuer's own, the origins of pages that may use them
}

// cookies makes a cookie of each request that asks for one.
type cookies struct {
	sameSite   http.SameSite
	protection *http.CrossOriginProtection
}

func newCookies(c Cookies, issuer string) (*cookies, error) {
	if c.SameSite == 0 {
		return nil, nil //nolint:nilnil // no cookies
	}
	protection := http.NewCrossOriginProtection()
	origins := c.Origins
	if u, err := url.Parse(issuer); err == nil && u.Host != "" {
		origins = append([]string{u.Scheme + "://" + u.Host}, origins...)
	}
	for _, origin := range origins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	return &cookies{c.SameSite, protection}, nil
}

// A cookie is the refresh token of one request. Its methods work on nil, which is a request without.
type cookie struct {
	sameSite http.SameSite
	w        http.ResponseWriter
	token    string // that the request came with; empty: none
	refused  error  // why the request may not use it
}

// of returns the cookie of a request that asks for one.
func (c *cookies) of(w http.ResponseWriter, r *http.Request) *cookie {
	if c == nil || r.Header.Get(CookieHeader) != "cookie" {
		return nil
	}
	found := &cookie{sameSite: c.sameSite, w: w}
	switch {
	case c.protection.Check(r) != nil:
		found.refused = &ForbiddenError{Message: "pages of this origin may not use the cookie"}
	case r.Method != http.MethodPost || stream.Listed(r.Header.Values("Accept")):
		found.refused = &ForbiddenError{Message: "the cookie needs a POST that is answered in JSON"} // a stream has sent its headers by then
	default:
		if sent, err := r.Cookie(sessionCookie); err == nil {
			found.token = sent.Value
		}
	}
	return found
}

// check returns an error if the request asks for a cookie that it may not use.
func (c *cookie) check() error {
	if c == nil {
		return nil
	}
	return c.refused
}

// keep moves the refresh token of a payload into the cookie.
func (c *cookie) keep(p *LoginPayload, now db.Time) {
	if c == nil || p == nil {
		return
	}
	c.set(p.RefreshToken, max(1, int(p.RefreshExpiresAt.Sub(now.Time).Seconds())))
	p.RefreshToken = ""
}

// drop deletes the cookie.
func (c *cookie) drop() {
	if c != nil {
		c.set("", -1)
	}
}

func (c *cookie) set(value string, maxAge int) {
	http.SetCookie(c.w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: c.sameSite,
	})
}
