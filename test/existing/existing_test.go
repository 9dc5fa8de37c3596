package existing

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to look into both databases
)

// maxChangedLines is what docs/existing-project.md promises.
const maxChangedLines = 40

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheChangeIsSmall(t *testing.T) {
	changed := 0
	for _, file := range []string{"adopt.diff", "close.diff"} {
		for line := range strings.Lines(read(t, file)) {
			isChange := strings.HasPrefix(line, "+") && !strings.HasPrefix(line, "+++ ") || strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "--- ")
			if isChange && strings.TrimSpace(line[1:]) != "" {
				changed++
			}
		}
	}
	if changed > maxChangedLines {
		t.Errorf("%d lines are changed, want at most %d", changed, maxChangedLines)
	}
	if document := read(t, "../../docs/existing-project.md"); !strings.Contains(document, "40 lines") {
		t.Error("the document does not say how many lines are changed")
	}
}

func TestTheDocumentShowsTheWholeChange(t *testing.T) {
	document := read(t, "../../docs/existing-project.md")
	for _, file := range []string{"adopt.diff", "close.diff", "new-users.diff"} {
		if !strings.Contains(document, "```diff\n"+read(t, file)+"```\n") {
			t.Errorf("docs/existing-project.md does not show %s as it is", file)
		}
	}
}

// A project is a copy of the project, outside of the repository.
type project struct {
	t          *testing.T
	dir        string
	repository string
	env        []string
}

func newProject(t *testing.T) *project {
	t.Helper()
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	p := &project{t: t, dir: t.TempDir(), repository: repository}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LATCHKEY_") && !strings.HasPrefix(e, "DATABASE_") && !strings.HasPrefix(e, "GOFLAGS=") {
			p.env = append(p.env, e)
		}
	}
	p.env = append(p.env, "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off", "BLOG_SECRET=of the tokens before")
	if err := os.CopyFS(p.dir, os.DirFS("before")); err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs a command in the project and returns what it prints. Its failure ends the test.
func (p *project) run(name string, args ...string) string {
	p.t.Helper()
	command := exec.CommandContext(p.t.Context(), name, args...)
	command.Dir, command.Env = p.dir, p.env
	out, err := command.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func (p *project) apply(diff string) {
	p.t.Helper()
	file, err := filepath.Abs(diff)
	if err != nil {
		p.t.Fatal(err)
	}
	p.run("git", "apply", "-p1", "--whitespace=nowarn", file)
}

// require adds Latchkey to the project's modules, as `go get` would from the network.
func (p *project) require() {
	p.t.Helper()
	p.run("go", "mod", "edit", "-require=github.com/latchkey/latchkey@v0.0.0", "-replace=github.com/latchkey/latchkey="+p.repository)
	sums := read(p.t, filepath.Join(p.dir, "go.sum")) + read(p.t, filepath.Join(p.repository, "go.sum"))
	if err := os.WriteFile(filepath.Join(p.dir, "go.sum"), []byte(sums), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// A server is a running program of the project.
type server struct {
	t    *testing.T
	url  string
	log  *log
	stop func()
}

// A log is what a program prints.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// command is the program with an address of its own.
func (p *project) command(ctx context.Context, env ...string) (command *exec.Cmd, url string, out *log) {
	p.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(address)
	command = exec.CommandContext(ctx, filepath.Join(p.dir, "program"))
	out = &log{}
	command.Dir, command.Env, command.Stdout, command.Stderr = p.dir, append(slices.Clone(p.env), append(env, "PORT="+port)...), out, out
	return command, "http://" + address, out
}

// serve starts the program that was built last.
func (p *project) serve(env ...string) *server {
	p.t.Helper()
	command, url, out := p.command(p.t.Context(), env...)
	if err := command.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = command.Wait() }()
	s := &server{t: p.t, url: url, log: out, stop: sync.OnceFunc(func() { _ = command.Process.Kill(); <-ended })}
	p.t.Cleanup(s.stop)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(url + "/titles.txt")
		if err == nil {
			response.Body.Close()
			return s
		}
		select {
		case <-ended:
			p.t.Fatalf("the program ended: %s", out)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the program does not serve: %v: %s", err, out)
		}
	}
}

func (p *project) build() {
	p.t.Helper()
	p.run("go", "build", "-o", "program", ".")
}

// ask returns the response to an operation, or what is served instead.
func (s *server) ask(token, query string) string {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/query", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// want fails the test unless the response has the text.
func (s *server) want(token, query, text string) {
	s.t.Helper()
	if got := s.ask(token, query); !strings.Contains(got, text) {
		s.t.Errorf("%s:\ngot  %s\nwant %s", query, got, text)
	}
}

var accessToken = regexp.MustCompile(`eyJ[\w.-]+`)

// token logs in by a mutation.
func (s *server) token(login string) string {
	s.t.Helper()
	response := s.ask("", login)
	token := accessToken.FindString(response)
	if token == "" {
		s.t.Fatalf("%s: %s", login, response)
	}
	return token
}

func oldLogin(name string) string {
	return `mutation { login(name: "` + name + `", password: "password of ` + name + `") }`
}

func newLogin(name string) string {
	return `mutation { login(input: {username: "` + name + `", password: "password of ` + name + `"}) { accessToken user { username roles } } }`
}

const (
	me         = `{ me { id name role } }`
	users      = `{ users { id name role } }`
	createPost = `mutation { createPost(title: "new") { id author { id } } }`
)

// unchanged are operations whose responses the change leaves as they are, byte for byte.
var unchanged = []string{
	`{ posts(first: 1) { nodes { id title createdAt sessions { startedAt } author { id name role } } pageInfo { hasNextPage endCursor } totalCount } }`,
	`{ posts(after: 1001) { nodes { id } pageInfo { hasNextPage endCursor } } }`,
	`{ user: node(id: 2) { __typename id ... on User { name } } post: node(id: "1002") { __typename id ... on Post { createdAt } } }`,
	`{ __type(name: "User") { kind fields { name type { name kind ofType { name kind } } } interfaces { name } } }`,
	`{ __type(name: "Node") { kind fields { name } possibleTypes { name } } }`,
	`{ __type(name: "PageInfo") { fields { name type { name ofType { name } } } } }`,
	`{ __type(name: "Role") { enumValues { name } } }`,
	`{ __type(name: "Session") { fields { name type { ofType { name } } } } }`,
	`{ __type(name: "Time") { kind name } }`,
}

// responses are those to the unchanged operations and, with a token, about the token's user.
func (s *server) responses(token string) (all []string) {
	s.t.Helper()
	for _, query := range unchanged {
		all = append(all, s.ask("", query))
	}
	return append(all, s.ask(token, me), s.ask(token, users))
}

// column reads a column of the table users.
func (p *project) column(database, query string) (values []string) {
	p.t.Helper()
	d, err := sql.Open("sqlite", "file:"+filepath.Join(p.dir, database)+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		p.t.Fatal(err)
	}
	defer d.Close()
	rows, err := d.QueryContext(p.t.Context(), query)
	if err != nil {
		p.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			p.t.Fatal(err)
		}
		values = append(values, value)
	}
	if err := rows.Err(); err != nil {
		p.t.Fatal(err)
	}
	return values
}

// hashes are the algorithms of the password hashes of Latchkey's users.
func (p *project) hashes() string {
	p.t.Helper()
	return strings.Join(p.column("blog.db-accounts", `
		SELECT username || ' ' || substr(password_hash, 1, 1 + instr(substr(password_hash, 2), '$')) FROM users ORDER BY username`), ", ")
}

func TestAnExistingProjectAdoptsLatchkey(t *testing.T) {
	p := newProject(t)

	// Before.
	p.run("go", "test", "./...")
	p.build()
	p.run("./program", "seed")
	s := p.serve()
	oldToken := s.token(oldLogin("ann"))
	before := s.responses(oldToken)
	s.stop()

	// adopt.diff: the audit names what is open, and stops the start unless it is to report.
	p.require()
	p.apply("adopt.diff")
	p.run("go", "generate", "./...")
	p.build()
	p.refusesToStart("Query.node has 0 access directives", "Query.posts has 0 access directives")
	s = p.serve("LATCHKEY_AUDIT=report")
	for _, field := range []string{"Query.node", "Query.posts"} {
		if !strings.Contains(s.log.String(), "field="+field) {
			t.Errorf("the log does not report %s: %s", field, s.log)
		}
	}
	s.want("", `{ posts { totalCount } }`, `{"data":{"posts":{"totalCount":2}}}`)
	s.want("", users, `"UNAUTHENTICATED"`)
	s.want(oldToken, me, `"MALFORMED"`)
	s.stop()
	if got := p.hashes(); got != "ann $2a$, ben $2a$" {
		t.Errorf("the imported hashes are %s", got)
	}

	// close.diff: every root field says who may read it.
	p.apply("close.diff")
	p.run("go", "generate", "./...")
	p.build()
	p.run("go", "test", "./...")
	s = p.serve()
	s.adopted(before)
	if got := p.hashes(); got != "ann $argon2id$, ben $argon2id$" {
		t.Errorf("after the logins the hashes are %s", got)
	}
	if got := strings.Join(p.column("blog.db", `SELECT id || substr(account_id, 1, 5) FROM users ORDER BY id`), " "); got != "1user_ 2user_" {
		t.Errorf("the users are linked as %s", got)
	}
	s.stop()

	// Latchkey's commands work on the project's accounts.
	p.env = append(p.env, "DATABASE_URL=sqlite:blog.db-accounts")
	if got := p.run("go", "run", "github.com/latchkey/latchkey", "user", "list"); !strings.Contains(got, "AUTHOR") || !strings.Contains(got, "ADMIN") {
		t.Errorf("user list prints %s", got)
	}

	// new-users.diff: what Latchkey creates appears among the project's users.
	p.apply("new-users.diff")
	if err := os.Remove(filepath.Join(p.dir, "blog/auth.go")); err != nil { // which nothing uses any more
		t.Fatal(err)
	}
	p.run("go", "vet", "./...")
	p.build()
	s = p.serve()
	ann := s.token(newLogin("ann"))
	s.want(ann, `mutation { createUser(input: {username: "eve", password: "password of eve", roles: [AUTHOR]}) { user { username } } }`, `"username":"eve"`)
	eve := s.token(newLogin("eve"))
	s.want(eve, me, `{"data":{"me":{"id":3,"name":"eve","role":"author"}}}`)
	s.want(eve, createPost, `"author":{"id":3}`)
}

// adopted asks the server after both changes.
func (s *server) adopted(before []string) {
	s.t.Helper()
	s.want("", `mutation { login(input: {username: "ann", password: "password of ben"}) { accessToken } }`, `"INVALID_CREDENTIALS"`)
	s.want("", newLogin("ann"), `"user":{"username":"ann","roles":["ADMIN"]}`)
	ann, ben := s.token(newLogin("ann")), s.token(newLogin("ben"))
	for i, response := range s.responses(ann) {
		if response != before[i] {
			s.t.Errorf("operation %d: before %s\nafter %s", i, before[i], response)
		}
	}
	for _, c := range []struct{ token, query, want string }{
		{"", users, `"UNAUTHENTICATED"`},
		{ben, users, `"FORBIDDEN"`},
		{"", me, `"UNAUTHENTICATED"`},
		{ben, me, `{"data":{"me":{"id":2,"name":"ben","role":"author"}}}`},
		{"", createPost, `"UNAUTHENTICATED"`},
		{ben, createPost, `{"data":{"createPost":{"id":1003,"author":{"id":2}}}}`},
		{ben, `{ auditLog { totalCount } }`, `"FORBIDDEN"`},
		{ann, `{ auditLog(first: 1) { nodes { kind } pageInfo { hasNextPage } } }`, `"nodes":[{"kind":"USER_CREATED"}],"pageInfo":{"hasNextPage":true}`},
		{ben, `mutation { logout { endedSessions } }`, `{"data":{"logout":{"endedSessions":1}}}`},
		{ben, me, `"REVOKED"`},
	} {
		s.want(c.token, c.query, c.want)
	}
}

// refusesToStart runs the program, which must end with these messages.
func (p *project) refusesToStart(messages ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	command, _, out := p.command(ctx)
	if err := command.Run(); err == nil || ctx.Err() != nil {
		p.t.Errorf("the program starts: %v", err)
	}
	for _, message := range messages {
		if !strings.Contains(out.String(), message) {
			p.t.Errorf("the program ends without saying %q: %s", message, out)
		}
	}
}
