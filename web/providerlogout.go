package web

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// providerLogout receives logout tokens of the provider in the path (OpenID Connect Back-Channel Logout 1.0, section 2.5).
func providerLogout(s *auth.Service) http.Handler {
	return s.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil || len(r.PostForm["logout_token"]) != 1 {
			writeOAuthError(w, http.StatusBadRequest, "invalid_request", "send a form with the parameter logout_token, once")
			return
		}
		var limited *auth.RateLimitedError
		err := s.ProviderLogout(r.Context(), r.PathValue("provider"), r.PostForm.Get("logout_token"))
		switch {
		case errors.Is(err, db.ErrNotFound):
			notFound(w, r)
		case errors.Is(err, auth.ErrProviderLogin):
			writeOAuthError(w, http.StatusBadRequest, "invalid_request", "the logout token is not valid")
		case errors.Is(err, auth.ErrProviderUnavailable):
			writeOAuthError(w, http.StatusServiceUnavailable, "temporarily_unavailable", "the provider's keys cannot be read")
		case errors.As(err, &limited):
			w.Header().Set("Retry-After", strconv.Itoa(limited.Seconds()))
			writeOAuthError(w, http.StatusTooManyRequests, "temporarily_unavailable", limited.Error())
		case err != nil:
			writeError(w, r, s, err)
		default:
			writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
		}
	}))
}
