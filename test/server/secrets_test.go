package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/latchkey/latchkey/db/dbtest"
)

// Every test of this package is a test of this too: no password or token that passed between it and the server may
// be in the server's log or database.

// confidences are the secrets that passed.
type confidences struct {
	mu  sync.Mutex
	all map[string]bool
}

// The forms of tokens; the group is what makes them secret.
var tokenForms = regexp.MustCompile(`\beyJ[\w-]+\.[\w-]+\.([\w-]{20,})|\blr_[\w.-]+\.([\w-]{20,})|\blk_(\w{30})\w{6}\b`)

// Where documents and variables have passwords.
var (
	passwordLiteral  = regexp.MustCompile(`(?i)password: *"([^"]+)"`)
	passwordVariable = regexp.MustCompile(`(?i)password: *\$(\w+)`)
	passwordMember   = regexp.MustCompile(`(?i)password$`)
)

// add notes a secret. Short ones, which tests guess with, are words of the log and the schema.
func (c *confidences) add(secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(secret) >= 10 {
		c.all[secret] = true
	}
}

// overhear notes the secrets of a request and its answer.
func (c *confidences) overhear(u *url.URL, header http.Header, body, answer string) {
	for _, form := range tokenForms.FindAllStringSubmatch(strings.Join(header["Authorization"], " ")+" "+body+" "+answer, -1) {
		c.add(form[1] + form[2] + form[3])
	}
	var asked struct {
		Query     string
		Variables map[string]any
	}
	_ = json.Unmarshal([]byte(body), &asked) // damaged ones have no variables
	for _, text := range []string{asked.Query, u.Query().Get("query")} {
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
func (c *confidences) in(text string) (found []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for secret := range c.all {
		if strings.Contains(text, secret) {
			found = append(found, secret)
		}
	}
	return found
}

// watchSecrets looks for the secrets when the server has stopped and its database is still open.
func (s *server) watchSecrets(databaseURL string) {
	s.secrets, s.logged = &confidences{all: map[string]bool{}}, &lockedWriter{w: s.log}
	s.t.Cleanup(func() {
		s.t.Helper()
		s.logged.mu.Lock()
		defer s.logged.mu.Unlock()
		if found := s.secrets.in(s.log.String()); found != nil {
			s.t.Errorf("the log has the secrets %q", found)
		}
		if found := s.secrets.in(stored(s.t, databaseURL)); found != nil {
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

// A search that finds nothing proves nothing, unless it would find what is there. T122, T124.
func TestASecretInTheLogOrTheDatabaseIsFound(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL)
		admin, refresh, _ := s.login("admin", adminPassword)
		token := s.ask(admin, `mutation { createApiToken(input: {name: "ci"}) { token } }`).text("createApiToken.token")
		for _, password := range []string{"a secret in a variable", "a secret of an input"} {
			s.ask("", loginMutation, "u", "nobody", "p", password)
			s.ask("", `mutation($in: LoginInput!) { login(input: $in) { accessToken } }`, "in", map[string]string{"username": "nobody", "password": password + "!"})
		}
		for _, secret := range []string{admin, refresh, token, adminPassword, "a secret in a variable", "a secret of an input!"} {
			if s.secrets.in("x"+secret+"x") == nil {
				t.Errorf("%s was not noted", secret)
			}
		}
		// An administrator who pastes a token into the wrong field.
		s.want("", s.ask(admin, `mutation($n: String) { createUser(input: {username: "pasted", name: $n}) { user { id } } }`, "n", token))
		if s.secrets.in(stored(t, databaseURL)) == nil {
			t.Error("it was not found in the database")
		}
		clear(s.secrets.all)
	})
}
