package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The whole way, with nothing in anybody's place: a Latchkey that is built and started here, and this
// service beside it, each a process of its own.

// A world is both of them.
type world struct {
	t            *testing.T
	dir          string
	latchkey     string // the program
	latchkeyAddr string
	latchkeyURL  string
	latchkeyRuns *exec.Cmd
	notesURL     string
	client       *http.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), client: &http.Client{Timeout: 10 * time.Second}, latchkeyAddr: freeAddr(t)}
	w.latchkey, w.latchkeyURL = filepath.Join(w.dir, "latchkey"), "http://"+w.latchkeyAddr
	w.build("../..", w.latchkey)
	w.build(".", filepath.Join(w.dir, "notes"))
	w.startLatchkey()
	for _, name := range []string{"root", "alice", "bob"} {
		role := map[bool]string{true: "ADMIN", false: "USER"}[name == "root"]
		w.command(passwordOf(name)+"\n", "user", "create", name, "--role", role, "--password-stdin")
	}
	key, _ := w.command("", "token", "create", "root", "--name", "notes", "--scope", "tokens:introspect")
	addr := freeAddr(t)
	w.notesURL = "http://" + addr
	w.start(filepath.Join(w.dir, "notes"), nil,
		"LATCHKEY_ISSUER="+w.latchkeyURL, "LATCHKEY_API_TOKEN="+key, "NOTES_ADDR="+addr, "NOTES_DATABASE="+filepath.Join(w.dir, "notes.db"))
	w.until("notes is there", 30*time.Second, func() bool { return w.ask("", `{ about }`).word() == "OK" })
	return w
}

func passwordOf(name string) string { return "a password for " + name }

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (w *world) build(dir, program string) {
	w.t.Helper()
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		w.t.Fatalf("build %s: %v\n%s", dir, err, out)
	}
}

// start starts a program that ends with the test; its log is shown if the test fails.
func (w *world) start(program string, args []string, env ...string) *exec.Cmd {
	w.t.Helper()
	c, log := exec.Command(program, args...), new(bytes.Buffer)
	c.Dir, c.Env, c.Stdout, c.Stderr = w.dir, w.env(env...), log, log
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if w.t.Failed() {
			w.t.Logf("%s:\n%s", filepath.Base(program), log)
		}
	})
	return c
}

// env is the environment without settings of whoever runs the test.
func (w *world) env(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "DATABASE_URL=sqlite:" + filepath.Join(w.dir, "latchkey.db")}, more...)
}

func (w *world) startLatchkey() {
	w.t.Helper()
	w.latchkeyRuns = w.start(w.latchkey, []string{"serve"}, "LATCHKEY_ADDR="+w.latchkeyAddr, "LATCHKEY_ISSUER="+w.latchkeyURL)
	w.until("Latchkey is there", 30*time.Second, func() bool {
		r, err := w.client.Get(w.latchkeyURL + "/readyz")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == http.StatusOK
	})
}

// command runs Latchkey's command line.
func (w *world) command(input string, args ...string) (stdout, stderr string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	c := exec.Command(w.latchkey, args...)
	c.Dir, c.Env, c.Stdin, c.Stdout, c.Stderr = w.dir, w.env(), strings.NewReader(input), &out, &errs
	if err := c.Run(); err != nil {
		w.t.Fatalf("latchkey %v: %v\n%s", args, err, &errs)
	}
	return strings.TrimSpace(out.String()), errs.String()
}

// until waits for f to become true and answers how long that took.
func (w *world) until(what string, limit time.Duration, f func() bool) time.Duration {
	w.t.Helper()
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if f() {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			w.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// A reply is a GraphQL answer.
type reply struct {
	Data   map[string]json.RawMessage
	Errors []struct {
		Message    string
		Path       []any
		Extensions struct {
			Code           string
			Reason         string
			RequiredScopes [][]string
		}
	}
	text string
}

// word is OK, or the first error's code and reason.
func (r *reply) word() string {
	if len(r.Errors) == 0 && r.Data != nil {
		return "OK"
	}
	if len(r.Errors) == 0 {
		return r.text
	}
	x := r.Errors[0].Extensions
	return strings.TrimSpace(x.Code + " " + x.Reason)
}

func (w *world) post(url, token, query string) *reply {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query})
	if err != nil {
		w.t.Fatal(err)
	}
	q, err := http.NewRequest(http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := w.client.Do(q)
	if err != nil {
		return &reply{text: err.Error()}
	}
	defer a.Body.Close()
	var text bytes.Buffer
	text.ReadFrom(a.Body)
	r := &reply{text: text.String()}
	if err := json.Unmarshal(text.Bytes(), r); err != nil {
		r.text = err.Error() + ": " + r.text
	}
	return r
}

// ask asks notes.
func (w *world) ask(token, query string) *reply { return w.post(w.notesURL, token, query) }

func (w *world) want(want, token, query string) *reply {
	w.t.Helper()
	r := w.ask(token, query)
	if r.word() != want {
		w.t.Fatalf("%s: got %q, want %q: %s", query, r.word(), want, r.text)
	}
	return r
}

// login answers an access token of Latchkey's.
func (w *world) login(name string) string {
	w.t.Helper()
	r := w.post(w.latchkeyURL, "", fmt.Sprintf(`mutation { login(input: {username: %q, password: %q}) { accessToken } }`, name, passwordOf(name)))
	var payload struct{ AccessToken string }
	if err := json.Unmarshal(r.Data["login"], &payload); err != nil || payload.AccessToken == "" {
		w.t.Fatalf("login as %s: %v: %s", name, err, r.text)
	}
	return payload.AccessToken
}

const mine = `{ notes { id text createdAt } }`

// refused waits until notes refuses the token, which must be soon.
func (w *world) refused(what, token string, limit time.Duration) {
	w.t.Helper()
	d := w.until(what+" is refused", limit, func() bool { return w.ask(token, mine).word() != "OK" })
	w.want("UNAUTHENTICATED REVOKED", token, mine)
	w.t.Logf("%s: refused after %v", what, d.Round(time.Millisecond))
}

func TestNotesBesideLatchkey(t *testing.T) {
	w := newWorld(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"each field asks for what its directive says", fields},
		{"everybody has notes of their own", ownNotes},
		{"what a gateway may ask is guarded without a gateway", entities},
		{"a damaged request is not repeated in the answer", noEcho},
		{"a logout counts here too", logout},
		{"changed roles count here too", roles},
		{"API tokens work until they are revoked", apiTokens},
		{"a Latchkey that hangs makes nobody believe old news", hanging},
		{"a Latchkey that is gone makes us unavailable, not wrong", killed},
	} {
		if !t.Run(part.name, func(t *testing.T) {
			outer := w.t
			w.t = t
			defer func() { w.t = outer }()
			part.run(t, w)
		}) {
			return // what follows needs it
		}
	}
}

func fields(t *testing.T, w *world) {
	alice, root := w.login("alice"), w.login("root")
	w.want("OK", "", `{ about }`)
	w.want("UNAUTHENTICATED MISSING", "", mine)
	w.want("UNAUTHENTICATED MALFORMED", "nonsense", mine)
	w.want("OK", alice, mine)
	w.want("OK", root, `{ allNotes { id } }`)
	r := w.want("FORBIDDEN", alice, `{ about notes { id } allNotes { id } }`)
	if fmt.Sprint(r.Errors[0].Extensions.RequiredScopes, r.Errors[0].Path) != "[[users:read]] [allNotes]" || string(r.Data["notes"]) != "[]" {
		t.Errorf("a refusal hurts its neighbours, or does not say what is missing: %s", r.text)
	}
	for _, query := range []string{`{ nothing }`, `{`, `{ about(`} {
		if r := w.ask("", query); !strings.HasPrefix(r.word(), "GRAPHQL_") {
			t.Errorf("%s: %s", query, r.text)
		}
	}
	w.command("", "schema", "audit", schemaFile(t))
}

// schemaFile is where the schema stands, for a command that runs elsewhere.
func schemaFile(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func ownNotes(t *testing.T, w *world) {
	alice, bob := w.login("alice"), w.login("bob")
	r := w.want("OK", alice, `mutation { addNote(input: {text: "milk"}) { note { id text createdAt } } }`)
	if !strings.Contains(r.text, `"text":"milk"`) {
		t.Error(r.text)
	}
	w.want("BAD_USER_INPUT", alice, `mutation { addNote(input: {text: ""}) { note { id } } }`)
	w.want("UNAUTHENTICATED MISSING", "", `mutation { addNote(input: {text: "milk"}) { note { id } } }`)
	if r := w.want("OK", alice, mine); !strings.Contains(r.text, "milk") {
		t.Errorf("alice's note is gone: %s", r.text)
	}
	if r := w.want("OK", bob, mine); strings.Contains(r.text, "milk") {
		t.Errorf("bob reads alice's note: %s", r.text)
	}
	if r := w.want("OK", w.login("root"), `{ allNotes { text } }`); !strings.Contains(r.text, "milk") {
		t.Errorf("all notes lack alice's: %s", r.text)
	}
}

// entities comes after ownNotes, in which alice wrote a note.
func entities(t *testing.T, w *world) {
	alice, bob, root := w.login("alice"), w.login("bob"), w.login("root")
	var me struct{ ID string }
	if err := json.Unmarshal(w.post(w.latchkeyURL, alice, `{ me { id } }`).Data["me"], &me); err != nil || me.ID == "" {
		t.Fatalf("alice's ID: %v", err)
	}
	of := func(keys string) string {
		return `{ _entities(representations: [` + keys + `]) { ... on User { id notes { text author { id } } } } }`
	}
	hers := of(`{__typename: "User", id: "` + me.ID + `"}`)
	w.want("UNAUTHENTICATED MISSING", "", hers)
	if r := w.want("FORBIDDEN", bob, hers); strings.Contains(r.text, "milk") {
		t.Errorf("bob reads alice's notes: %s", r.text)
	}
	for _, token := range []string{alice, root} {
		if r := w.want("OK", token, hers); !strings.Contains(r.text, `"milk","author":{"id":"`+me.ID+`"}`) {
			t.Errorf("alice's notes: %s", r.text)
		}
	}
	for _, key := range []string{`{__typename: "User"}`, `{__typename: "User", id: ""}`, `{__typename: "User", id: 7}`, `{__typename: "Note", id: "x"}`, `{id: "x"}`} {
		if r := w.want("BAD_USER_INPUT", root, of(key)); string(r.Data["_entities"]) != "[null]" || fmt.Sprint(r.Errors[0].Path) != "[_entities 0]" {
			t.Errorf("%s: %s", key, r.text)
		}
	}
	w.want("BAD_USER_INPUT", root, of(strings.Repeat(`{__typename: "User", id: "x"}, `, 101)))
	if r := w.want("OK", "", `{ _service { sdl } }`); !strings.Contains(r.text, "@key(fields:") {
		t.Errorf("the schema for gateways: %s", r.text)
	}
}

func noEcho(t *testing.T, w *world) {
	const secret = "hunter2-in-the-body"
	for contentType, body := range map[string]string{
		"application/json": `{"query":"` + secret, "text/plain": `{"query":"{ about }","x":"` + secret + `"}`, "application/json; x=y": `{"query":7,"x":"` + secret + `"}`,
	} {
		r, err := w.client.Post(w.notesURL+"/graphql", contentType, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		text.ReadFrom(r.Body)
		r.Body.Close()
		if r.StatusCode != http.StatusBadRequest || strings.Contains(text.String(), secret) || !strings.Contains(text.String(), "BAD_REQUEST") {
			t.Errorf("%s %s: %d %s", contentType, body, r.StatusCode, &text)
		}
	}
}

func logout(_ *testing.T, w *world) {
	token, another := w.login("alice"), w.login("alice")
	w.want("OK", token, mine)
	if r := w.post(w.latchkeyURL, token, `mutation { logout { __typename } }`); r.word() != "OK" {
		w.t.Fatal(r.text)
	}
	w.refused("a logged out session", token, 2*time.Second)
	w.want("OK", another, mine)
}

func roles(_ *testing.T, w *world) {
	token := w.login("bob")
	w.want("FORBIDDEN", token, `{ allNotes { id } }`)
	w.command("", "user", "grant", "bob", "ADMIN")
	w.refused("a token from before the promotion", token, 2*time.Second)
	token = w.login("bob")
	w.want("OK", token, `{ allNotes { id } }`)
	w.command("", "user", "revoke", "bob", "ADMIN")
	w.refused("a token from before the demotion", token, 2*time.Second)
	w.want("FORBIDDEN", w.login("bob"), `{ allNotes { id } }`)
}

func apiTokens(_ *testing.T, w *world) {
	token, said := w.command("", "token", "create", "alice", "--name", "a program")
	_, rest, _ := strings.Cut(said, "created ")
	id, _, _ := strings.Cut(rest, " ")
	w.want("OK", token, mine)
	w.want("FORBIDDEN", token, `{ allNotes { id } }`)
	w.command("", "token", "revoke", id)
	w.refused("a revoked API token", token, 11*time.Second) // it is remembered for ten seconds
	w.want("UNAUTHENTICATED MALFORMED", token[:38]+"!", mine)
}

func hanging(t *testing.T, w *world) {
	alice, bob := w.login("alice"), w.login("bob")
	w.want("OK", alice, mine)
	w.want("OK", bob, mine)
	w.signal(syscall.SIGSTOP)
	stopped := time.Now()
	w.command("", "user", "disable", "bob") // by another process, on the same database
	for unavailable := 0; unavailable < 2; {
		asked := time.Now()
		got := w.ask(bob, mine).word()
		if got == "OK" && asked.Sub(stopped) > 2100*time.Millisecond {
			t.Fatalf("accepted without news for %v", asked.Sub(stopped))
		}
		if got == "UNAVAILABLE" {
			unavailable++
			t.Logf("unavailable %v after the server hung", time.Since(stopped).Round(time.Millisecond))
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.want("OK", "", `{ about }`)
	w.signal(syscall.SIGCONT)
	d := w.until("good tokens are good again", 10*time.Second, func() bool {
		if got := w.ask(bob, mine).word(); got == "OK" {
			t.Fatal("a disabled user's token was accepted")
		}
		return w.ask(alice, mine).word() == "OK"
	})
	t.Logf("recovered after %v", d.Round(time.Millisecond))
	w.refused("a disabled user", bob, 5*time.Second)
}

func (w *world) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.latchkeyRuns.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

func killed(t *testing.T, w *world) {
	alice := w.login("alice")
	w.want("OK", alice, mine)
	w.signal(syscall.SIGKILL)
	gone := time.Now()
	w.until("tokens cannot be checked", 5*time.Second, func() bool { return w.ask(alice, mine).word() == "UNAVAILABLE" })
	t.Logf("unavailable %v after the server was gone", time.Since(gone).Round(time.Millisecond))
	for range 20 {
		w.want("UNAVAILABLE", alice, mine)
	}
	w.want("OK", "", `{ about }`)
	w.startLatchkey()
	d := w.until("good tokens are good again", 10*time.Second, func() bool { return w.ask(alice, mine).word() == "OK" })
	t.Logf("recovered %v after the server was back", d.Round(time.Millisecond))
}
