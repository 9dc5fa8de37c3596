package servertest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
)

// Every test of Latchkey itself is a test of this too: no password or token that passed between it and the server may
// be in the server's log or database.

// secrets are those that passed. A nil one notes none.
type secrets struct {
	mu  sync.Mutex
	all map[string]bool
}

// The forms of tokens; the group is what makes them secret.
var tokenForms = regexp.MustCompile(`\beyJ[\w-]+\.[\w-]+\.([\w-]{20,})|\bl[rc]_[\w.-]+\.([\w-]{20,})|\blk_(\w{30})\w{6}\b|\bll_\w+\.([\w-]{20,})`)

// factorForms are the secrets of authenticator apps and recovery codes, which only responses bring.
var factorForms = regexp.MustCompile(`"secret":"([A-Z2-7]{32})"|\b((?:[0-9a-z]{4}-){3}[0-9a-z]{4})\b`)

// mayHoldTokens reports whether a text has the beginning of a token: the expression is slow on long texts.
func mayHoldTokens(text string) bool {
	return slices.ContainsFunc([]string{"eyJ", "lr_", "lc_", "lk_", "ll_"}, func(prefix string) bool { return strings.Contains(text, prefix) })
}

// Where documents and variables have passwords.
var (
	passwordLiteral  = regexp.MustCompile(`(?i)password: *"([^"]+)"`)
	passwordVariable = regexp.MustCompile(`(?i)password: *\$(\w+)`)
	passwordMember   = regexp.MustCompile(`(?i)password$`)
)

// add notes a secret. Short ones, which tests guess with, are words of the log and the schema.
func (c *secrets) add(secret string) {
	if c == nil || len(secret) < 10 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[secret] = true
}

// note notes the secrets of a request and its response.
func (c *secrets) note(u *url.URL, header http.Header, body, response string) {
	if c == nil {
		return
	}
	for _, text := range append(slices.Clone(header["Authorization"]), body, response) {
		if !mayHoldTokens(text) {
			continue
		}
		for _, form := range tokenForms.FindAllStringSubmatch(text, -1) {
			c.add(strings.Join(form[1:], ""))
		}
	}
	if strings.Contains(response, `"secret"`) || strings.Contains(response, `"recoveryCodes"`) {
		for _, form := range factorForms.FindAllStringSubmatch(response, -1) {
			c.add(strings.Join(form[1:], ""))
		}
	}
	var asked struct {
		Query     string
		Variables map[string]any
	}
	_ = json.Unmarshal([]byte(body), &asked) // damaged ones have no variables
	for _, text := range []string{asked.Query, u.Query().Get("query")} {
		if !strings.Contains(text, "assword") { // the expressions are slow on long texts
			continue
		}
		for _, m := range passwordLiteral.FindAllStringSubmatch(text, -1) {
			c.add(m[1])
		}
		for _, m := range passwordVariable.FindAllStringSubmatch(text, -1) {
			if password, ok := asked.Variables[m[1]].(string); ok {
				c.add(password)
			}
		}
	}
	for _, variable := range asked.Variables {
		input, _ := variable.(map[string]any)
		for name, value := range input {
			if password, ok := value.(string); ok && passwordMember.MatchString(name) {
				c.add(password)
			}
		}
	}
}

// in are those secrets that a text holds.
func (c *secrets) in(text string) (found []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for secret := range c.all {
		if strings.Contains(text, secret) {
			found = append(found, secret)
		}
	}
	return found
}

// Secrets are the passwords and tokens that have passed between the test and a server of Latchkey or Front.
func (s *Server) Secrets() []string {
	if s.secrets == nil {
		return nil
	}
	s.secrets.mu.Lock()
	defer s.secrets.mu.Unlock()
	return slices.Collect(maps.Keys(s.secrets.all))
}

// watchSecrets looks for the secrets when the server has stopped and its database is still open.
func (s *Server) watchSecrets() {
	s.secrets = &secrets{all: map[string]bool{}}
	s.t.Cleanup(func() {
		s.t.Helper()
		if found := s.secrets.in(s.Logged()); found != nil {
			s.t.Errorf("the log has the secrets %q", found)
		}
		if found := s.secrets.in(stored(s.t, s.plan.databaseURL)); found != nil {
			s.t.Errorf("the database has the secrets %q", found)
		}
	})
}

// stored is all that a database holds: of SQLite the bytes of its files, with what was deleted; of PostgreSQL all rows.
func stored(t testing.TB, databaseURL string) string {
	t.Helper()
	var all strings.Builder
	if path, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		files, err := filepath.Glob(path + "*")
		if err != nil || len(files) == 0 {
			t.Fatalf("no files at %s: %v", path, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(content)
		}
		return all.String()
	}
	d, err := sqlx.Open("postgres", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var tables []string
	if err := d.Select(&tables, `SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = 'public'`); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		var rows []string
		if err := d.Select(&rows, `SELECT t::text FROM `+table+` t`); err != nil {
			t.Fatal(err)
		}
		all.WriteString(table + "\n" + strings.Join(rows, "\n"))
	}
	return all.String()
}
