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
	found, err := s.resolve(ctx, text)
	if used, ok := errors.AsType[*refusedTokenError](err); ok {
		s.uses.refused(used, client, s.timestamp())
		err = &UnauthenticatedError{Reason: used.reason}
	}
	return found.viewer, err
}

// A resolved token is one that was verified and looked up.
type resolved struct {
	viewer Viewer
	expiry time.Time // of the token; zero: never
	until  db.Time   // when the token stops being valid at the latest, if no row changes; zero: never
}

// resolve finds what a token stands for, in the cache if possible.
func (s *Service) resolve(ctx context.Context, text string) (resolved, error) {
	s.interest.touch()
	key := cacheKeyOf(text)
	now := s.timestamp()
	found, known := s.cache.get(key, now)
	if !known {
		ticket := s.cache.ticket()
		var err error
		if found, err = s.lookUp(ctx, text); err != nil {
			s.cache.refused(key)
			return resolved{}, err
		}
		s.cache.put(ticket, key, found)
	}
	if id := found.viewer.TokenID; id != "" {
		s.uses.ofToken(id, now)
	}
	return found, nil
}

// lookUp is resolve without the cache.
func (s *Service) lookUp(ctx context.Context, text string) (resolved, error) {
	switch {
	case !token.Plausible(text):
		return resolved{}, &UnauthenticatedError{Reason: Malformed}
	case token.IsAPIToken(text):
		return s.apiTokenViewer(ctx, text)
	case strings.HasPrefix(text, token.APIPrefix): // damaged: no query is needed
		return resolved{}, &UnauthenticatedError{Reason: Malformed}
	}
	c, err := s.verifyAccessToken(text)
	if err != nil {
		return resolved{}, err
	}
	o, err := s.db.SessionOwner(ctx, c.SessionID)
	if errors.Is(err, db.ErrNotFound) || err == nil && o.User.ID != c.Subject {
		return resolved{}, &UnauthenticatedError{Reason: Revoked}
	}
	if err != nil {
		return resolved{}, err
	}
	return s.sessionViewer(o, c)
}

// sessionViewer returns the viewer of an access token if its session is valid. It rejects a token whose scopes differ from
// the user's current ones, so that the server and other services apply the same rights.
func (s *Service) sessionViewer(o *db.SessionOwner, c *token.Claims) (resolved, error) {
	if err := sessionError(o, s.timestamp(), Revoked); err != nil {
		return resolved{}, err
	}
	v := s.inSession(&o.User, &o.Session, Client{})
	if c.Scope != v.Scopes.String() {
		return resolved{}, &UnauthenticatedError{Reason: Revoked}
	}
	if o.Session.SeenGeneration < c.Generation {
		s.uses.ofGeneration(o.Session.ID, c.Generation)
	}
	expiry := time.Unix(c.Expiry, 0)
	until := db.TimeOf(expiry.Add(token.ClockSkew))
	for _, end := range []db.Time{o.Session.IdleAt, o.Session.ExpiresAt} {
		if end.Before(until.Time) {
			until = end
		}
	}
	return resolved{v, expiry, until}, nil
}

// inSession returns the viewer of a session.
func (s *Service) inSession(u *db.User, session *db.Session, c Client) Viewer {
	v := Viewer{User: u, SessionID: session.ID, Client: c, AuthenticatedAt: session.AuthenticatedAt, Methods: session.Methods}
	v.Scopes, v.withheld = s.rights.inSession(u.Roles, session.Methods)
	return v
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
