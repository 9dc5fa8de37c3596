package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"
)

// A run is everything on one database.
type run struct {
	*options
	*data
	database *database
	dir      string // of the built programs, and of what they write

	latchkey      *server
	servers       []*server // the yardstick first, then Latchkey
	access        []string  // access tokens of the callers
	accessOfAdmin string
	loggedIn      time.Time
	peerTokens    []string // of the callers and the administrator
}

func (r *run) callers() int { return min(r.Connections, maxCallers) }

// accessToken returns the access token of a caller, or of the administrator.
func (r *run) accessToken(caller int) string {
	if caller == administrator {
		return r.accessOfAdmin
	}
	return r.access[caller]
}

// startServers starts everything that is measured.
func (r *run) startServers(ctx context.Context, programs ...*program) error {
	for _, p := range programs {
		s, _, err := p.start(ctx)
		if err != nil {
			return err
		}
		r.servers = append(r.servers, s)
		if p.name == "latchkey" && r.latchkey == nil {
			r.latchkey = s
		}
		if slices.Contains(peers, p.name) {
			if err := r.probeRefusal(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) stopServers() {
	for _, s := range r.servers {
		s.stop()
	}
	r.servers = nil
}

// logIn logs the callers in, and tells the yardstick. Access tokens expire after 15 minutes at most.
func (r *run) logIn(ctx context.Context) error {
	if time.Since(r.loggedIn) < 5*time.Minute {
		return nil
	}
	c, err := dial(ctx, r.latchkey.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	r.access, r.loggedIn = nil, time.Now()
	if r.accessOfAdmin, err = r.newAccessToken(c, r.users[0].Username); err != nil {
		return err
	}
	for i := range r.callers() {
		token, err := r.newAccessToken(c, r.caller(i).Username)
		if err != nil {
			return err
		}
		r.access = append(r.access, token)
	}
	for i := range logins { // where a user has logged in before, concurrent logins are not mistaken for guesses
		if _, err := r.newAccessToken(c, r.login(i).Username); err != nil {
			return err
		}
	}
	loggedIn := bytes.Clone(c.body)
	refused := response{status: http.StatusOK, start: []byte(`{"errors":`), end: []byte("}")}
	if err := c.do(call{post("/graphql", "", query(me)), refused}); err != nil {
		return err
	}
	return r.setUpYardstick(ctx, loggedIn, bytes.Clone(c.body))
}

func (r *run) newAccessToken(c *connection, username string) (string, error) {
	if err := c.do(r.loginCall("/graphql", username)); err != nil {
		return "", err
	}
	return accessToken(c.body)
}

// setUpYardstick tells the yardstick what Latchkey answers to a login and to a request without a token.
func (r *run) setUpYardstick(ctx context.Context, loggedIn, refused []byte) error {
	for _, s := range r.servers {
		if s.refusal.status == 0 {
			s.refusal = ok(refused)
		}
	}
	known := map[string]string{r.accessOfAdmin: string(meResponse(r.users[0]))}
	for i, token := range r.access {
		known[token] = string(meResponse(r.caller(i)))
	}
	setup := mustJSON(map[string]any{"me": known, "refused": string(refused), "login": string(loggedIn)})
	return r.servers[0].try(ctx, call{post("/setup", "", setup), ok(nil)})
}

// logs returns the end of the servers' logs, for an error.
func (r *run) logs() (text string) {
	for _, s := range r.servers {
		b, _ := os.ReadFile(s.log())
		text += fmt.Sprintf("\n%s:\n%s", s.log(), b[max(0, len(b)-2000):])
	}
	return text
}
