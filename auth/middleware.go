package auth

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/token"
)

// RequestIDHeader is the header with a request's ID. Package web sets it in the request, replacing a client's value, and in
// the response.
const RequestIDHeader = "X-Request-Id"

// Middleware identifies the caller and puts the viewer into the request's context. It never rejects a request: with an
// invalid token the viewer is anonymous, and guarded fields report the reason. So an expired token does not prevent login,
// refresh and access to public fields.
func (s *Service) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := clientOf(r)
		client.cookie = s.cookies.of(w, r)
		v := s.Identify(r.Context(), client, r.Header.Values("Authorization"))
		next.ServeHTTP(w, r.WithContext(WithViewer(r.Context(), v)))
	})
}

// Identify returns the viewer for the values of the Authorization header: one "Bearer TOKEN" (RFC 6750, section 2.1) or
// "Token TOKEN" (Django REST framework). The scheme is case-insensitive.
func (s *Service) Identify(ctx context.Context, client Client, authorization []string) Viewer {
	v, err := s.identify(ctx, client, authorization)
	if err != nil {
		v = Anonymous(err)
	}
	v.Client = client
	return v
}

func (s *Service) identify(ctx context.Context, client Client, authorization []string) (Viewer, error) {
	text, err := token.FromHeader(authorization)
	if err != nil {
		return Viewer{}, err
	}
	v, err := s.viewerOf(ctx, text)
	if used, ok := errors.AsType[*refusedTokenError](err); ok {
		s.uses.refused(used, client, s.timestamp())
		err = &UnauthenticatedError{Reason: used.reason}
	}
	return v, err
}

// viewerOf returns the viewer of a token, from the cache if possible.
func (s *Service) viewerOf(ctx context.Context, text string) (Viewer, error) {
	s.interest.touch()
	key := cacheKeyOf(text)
	now := s.timestamp()
	v, known := s.cache.get(key, now)
	if !known {
		ticket := s.cache.ticket()
		var until db.Time
		var err error
		if v, until, err = s.lookUp(ctx, text); err != nil {
			return Viewer{}, err
		}
		s.cache.put(ticket, key, v, until)
	}
	if v.TokenID != "" {
		s.uses.ofToken(v.TokenID, now)
	}
	return v, nil
}

// lookUp reads the viewer of a token from the database. until is when the token expires at the latest; zero if never.
func (s *Service) lookUp(ctx context.Context, text string) (Viewer, db.Time, error) {
	switch {
	case !token.Plausible(text):
		return Viewer{}, db.Time{}, &UnauthenticatedError{Reason: Malformed}
	case token.IsAPIToken(text):
		return s.apiTokenViewer(ctx, text)
	case strings.HasPrefix(text, token.APIPrefix): // damaged: no query is needed
		return Viewer{}, db.Time{}, &UnauthenticatedError{Reason: Malformed}
	}
	c, err := s.verifyAccessToken(text)
	if err != nil {
		return Viewer{}, db.Time{}, err
	}
	o, err := s.db.SessionOwner(ctx, c.SessionID)
	if errors.Is(err, db.ErrNotFound) || err == nil && o.User.ID != c.Subject {
		return Viewer{}, db.Time{}, &UnauthenticatedError{Reason: Revoked}
	}
	if err != nil {
		return Viewer{}, db.Time{}, err
	}
	return s.sessionViewer(o, c)
}

// sessionViewer returns the viewer of an access token if its session is valid. It rejects a token whose scopes differ from
// the user's current ones, so that the server and other services apply the same rights.
func (s *Service) sessionViewer(o *db.SessionOwner, c *token.Claims) (v Viewer, until db.Time, err error) {
	if err := sessionError(o, s.timestamp(), Revoked); err != nil {
		return v, until, err
	}
	scopes := s.rights.Granted(o.Roles)
	if c.Scope != scopes.String() {
		return v, until, &UnauthenticatedError{Reason: Revoked}
	}
	if o.Session.SeenGeneration < c.Generation {
		s.uses.ofGeneration(o.Session.ID, c.Generation)
	}
	until = db.TimeOf(time.Unix(c.Expiry, 0).Add(token.ClockSkew))
	for _, end := range []db.Time{o.Session.IdleAt, o.Session.ExpiresAt} {
		if end.Before(until.Time) {
			until = end
		}
	}
	return Viewer{User: &o.User, SessionID: o.Session.ID, Scopes: scopes}, until, nil
}

// clientOf returns where a request comes from. The address is that of the connection, since headers can be forged.
func clientOf(r *http.Request) Client {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = r.RemoteAddr
	}
	return Client{IP: ip, Device: cleanText(r.UserAgent(), 200), RequestID: r.Header.Get(RequestIDHeader)}
}

// cleanText returns at most n bytes of an untrusted client's text, without control characters and invalid UTF-8.
func cleanText(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
