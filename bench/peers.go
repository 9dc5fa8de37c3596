package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/db"
)

// Servers of other people that do the same, as their documentation sets them up: see bench/peers. They read the users from
// PostgreSQL, and have tokens of their own.
var peers = []string{"gqlgen", "mercurius", "apollo", "yoga", "drf"}

// buildPeers prepares the chosen peers.
func (o *options) buildPeers(ctx context.Context, root, dir string) error {
	folder := filepath.Join(root, "bench/peers")
	if slices.Contains(o.Peers, "gqlgen") {
		if err := build(ctx, root, "./bench/peers/gqlgen", filepath.Join(dir, "gqlgen")); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(o.Peers, isNode) {
		cmd := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund")
		cmd.Dir = filepath.Join(folder, "node")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("npm ci: %w\n%s", err, out)
		}
	}
	o.peersFolder = folder
	return nil
}

func isNode(peer string) bool { return peer == "mercurius" || peer == "apollo" || peer == "yoga" }

// addPeers adds the chosen peers on PostgreSQL.
func (r *run) addPeers(ctx context.Context, programs *[]*program) error {
	if len(r.Peers) == 0 || r.database.pid == 0 {
		return nil
	}
	if err := r.addPeerTokens(ctx); err != nil {
		return err
	}
	for _, name := range r.Peers {
		*programs = append(*programs, r.peer(name))
	}
	return nil
}

// peer describes how a peer is started.
func (r *run) peer(name string) *program {
	p := &program{name: name, dir: r.dir, env: func(addr string) []string {
		return []string{
			"DATABASE_URL=" + r.database.url, "ADDR=" + addr, "BENCH_TOKENS=" + r.peerTokensFile(), "NODE_ENV=production",
		}
	}}
	p.token = func(caller int) string { return r.peerTokens[caller] } // the administrator is the last
	p.path = pathOnPeers
	p.first = call{p.request("/graphql", "", query(`{ __typename }`)), ok([]byte(`{"data":{"__typename":"Query"}}`))}
	switch {
	case name == "gqlgen":
		p.command = []string{filepath.Join(r.dir, name)}
	case isNode(name):
		p.command = []string{"node", filepath.Join(r.peersFolder, "node", name+".mjs")}
	default:
		r.drf(p)
	}
	return p
}

func pathOnPeers(s *scenario) string {
	if !s.peers {
		return ""
	}
	return "/graphql"
}

// drf is no GraphQL server: it has a path for each query, and no query texts.
func (r *run) drf(p *program) {
	p.rest = true
	p.command = []string{
		"gunicorn", "--chdir", filepath.Join(r.peersFolder, "drf"), "--bind", "ADDR",
		"--workers", "2", "--worker-class", "gthread", "--threads", "16", "--keep-alive", "60", "--log-level", "warning", "server:application",
	}
	p.path = func(s *scenario) string {
		return map[string]string{"me": "/me/", "list": "/users/", "refused": "/me/"}[s.name]
	}
	refused := response{status: http.StatusUnauthorized, start: []byte(`{"detail":`), end: []byte("}")}
	p.first = call{p.request("/me/", "", nil), refused}
}

// addPeerTokens makes the tokens of the peers: for the callers and, last, for the administrator.
func (r *run) addPeerTokens(ctx context.Context) error {
	type viewer struct {
		ID        string  `json:"id"`
		Username  string  `json:"username"`
		Email     *string `json:"email"`
		Name      *string `json:"name"`
		CreatedAt db.Time `json:"createdAt"`
		Role      db.Role `json:"role"`
	}
	viewers := map[string]viewer{}
	r.peerTokens = nil
	for i := range maxCallers + 1 {
		u := r.caller(i)
		if i == maxCallers {
			u = r.users[0]
		}
		token := strings.ToLower(rand.Text())
		viewers[token] = viewer{u.ID, u.Username, u.Email, u.Name, u.CreatedAt, u.Roles[0]}
		r.peerTokens = append(r.peerTokens, token)
	}
	if err := os.WriteFile(r.peerTokensFile(), mustJSON(viewers), 0o600); err != nil {
		return err
	}
	return r.addTokensOfDRF(ctx)
}

func (r *run) peerTokensFile() string { return filepath.Join(r.dir, "peer-tokens.json") }

// addTokensOfDRF makes the table of Django REST framework's tokens.
func (r *run) addTokensOfDRF(ctx context.Context) error {
	d, err := db.Open(ctx, r.database.url)
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Exec(ctx, "tokens of DRF", `
		CREATE TABLE bench_tokens (key text PRIMARY KEY, user_id text NOT NULL REFERENCES users (id))`)
	for i, token := range r.peerTokens {
		u := r.caller(i)
		if i == maxCallers {
			u = r.users[0]
		}
		_, failed := d.Exec(ctx, "token of DRF", `INSERT INTO bench_tokens (key, user_id) VALUES ($1, $2)`, token, u.ID)
		err = errors.Join(err, failed)
	}
	return err
}

// probeRefusal remembers how the server refuses a request without a token: each has an error of its own.
func (r *run) probeRefusal(ctx context.Context, s *server) error {
	c, err := dial(ctx, s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(s.request(s.path(scenarios[0]), "", query(me))); err != nil {
		return err
	}
	status, err := c.read()
	if err != nil {
		return err
	}
	if !bytes.Contains(c.body, []byte(`"errors"`)) && status != http.StatusUnauthorized {
		return fmt.Errorf("%s answers a request without a token with %d %s", s.name, status, c.body)
	}
	s.refusal = response{status: status, start: bytes.TrimRight(bytes.Clone(c.body), "\n")}
	return nil
}
