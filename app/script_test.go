package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/executable"
)

// The scripts in testdata/script are what users do on the command line, each told as a story. A script has
// an empty directory, which is its home too, a free address in LATCHKEY_ADDR and another in OTHER_ADDR, and,
// on PostgreSQL, an empty database in DATABASE_URL and a LATCHKEY_SECRET. On SQLite nothing else is set.
//
// Beside testscript's own commands, its conditions [sqlite] and [postgres], and latchkey itself, there are:
//
//	exits CODE COMMAND…             run a command that exits with just this code
//	start [COMMAND…]                start a server (latchkey serve) on LATCHKEY_ADDR
//	ready                           wait until it answers; stdout is what it has printed so far
//	serve [COMMAND…]                start and ready
//	terminate [SIGNAL]              end it by SIGTERM (or SIGHUP), which is no failure; stdout and stderr are all it printed
//	graphql QUERY [TOKEN]           ask the server on LATCHKEY_ADDR; stdout is its answer
//	login USER PASSWORD             ask it for tokens
//	within TIME REGEXP QUERY TOKEN  graphql, again and again until the answer matches
//	capture NAME REGEXP             set NAME to the first submatch in the last stdout
//	mode FILE MODE                  FILE has these permissions, such as 0600
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits":     command(2, 99, exits),
	"start":     command(0, 99, start),
	"ready":     command(0, 0, ready),
	"serve":     command(0, 99, serveAndWait),
	"terminate": command(0, 1, terminate),
	"graphql":   command(1, 2, askServer),
	"login":     command(2, 2, login),
	"within":    command(4, 4, within),
	"capture":   command(2, 2, capture),
	"mode":      command(2, 2, mode),
}

func TestMain(m *testing.M) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // or the servers would ignore it, too, where nohup runs the tests
	os.Exit(executable.Run(m))
}

// Without this, nothing that users type is tried as they type it: messages, exit codes, files and signals.
// T16, T17, T28, T124, T135, T140, T153, T155, T156, T157, T197, T198, T217, T227.
func TestScripts(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		runScripts(t, "sqlite", func(*testscript.Env) {})
	})
	t.Run("postgres", func(t *testing.T) {
		runScripts(t, "postgres", func(env *testscript.Env) {
			env.Setenv("DATABASE_URL", dbtest.PostgresURL(env.T().(testing.TB), "empty", nil))
			env.Setenv("LATCHKEY_SECRET", "the secret that all scripts share")
		})
	})
}

func runScripts(t *testing.T, database string, setDatabase func(*testscript.Env)) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(5 * time.Minute), // where something serves that should have failed
		Cmds:                scriptCommands,
		Condition: func(name string) (bool, error) {
			if name != "sqlite" && name != "postgres" {
				return false, errors.New("want sqlite or postgres")
			}
			return name == database, nil
		},
		Setup: func(env *testscript.Env) error {
			setDatabase(env)
			return prepare(env)
		},
	})
}

// prepare sets what the scripts on both databases have.
func prepare(env *testscript.Env) error {
	env.Setenv("HOME", env.WorkDir)
	path, err := executable.Path()
	if err != nil {
		return err
	}
	env.Setenv("PATH", filepath.Dir(path)+string(filepath.ListSeparator)+env.Getenv("PATH"))
	first, err1 := net.Listen("tcp", "127.0.0.1:0")
	other, err2 := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	defer first.Close()
	defer other.Close()
	env.Setenv("LATCHKEY_ADDR", first.Addr().String())
	env.Setenv("OTHER_ADDR", other.Addr().String())
	env.Values[processesKey{}] = &processes{env: env.Vars, at: map[string]*process{}}
	return nil
}

// command makes a script's command of a function that takes so many arguments.
func command(minimum, maximum int, run func(ts *testscript.TestScript, args []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < minimum || len(args) > maximum {
			ts.Fatalf("want %d to %d arguments, and no !", minimum, maximum)
		}
		run(ts, args)
	}
}

func exits(ts *testscript.TestScript, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// processes are a script's servers.
type processes struct {
	env []string // as the script found it
	at  map[string]*process

	receivers sync.Map // of webhooks
}

type processesKey struct{}

// A process is a server, running or ended.
type process struct {
	*exec.Cmd
	stdout, stderr string        // names of the files with what it prints
	ended          chan struct{} // closed when it has ended
}

// here is the server on LATCHKEY_ADDR.
func here(ts *testscript.TestScript) *process {
	p := ts.Value(processesKey{}).(*processes).at[ts.Getenv("LATCHKEY_ADDR")]
	if p == nil {
		ts.Fatalf("no server was started on %s", ts.Getenv("LATCHKEY_ADDR"))
	}
	return p
}

func start(ts *testscript.TestScript, args []string) {
	if len(args) == 0 {
		args = []string{"latchkey", "serve"}
	}
	all, addr := ts.Value(processesKey{}).(*processes), ts.Getenv("LATCHKEY_ADDR")
	p := &process{Cmd: exec.Command("env", args...), ended: make(chan struct{})}
	p.Dir = ts.Getenv("WORK")
	p.Env = append(p.Env, all.env...)
	for _, name := range []string{"LATCHKEY_ADDR", "LATCHKEY_ISSUER"} { // what scripts set; the rest is for flags
		if value := ts.Getenv(name); value != "" {
			p.Env = append(p.Env, name+"="+value)
		}
	}
	stdout, stderr := output(ts, addr+".stdout"), output(ts, addr+".stderr")
	defer stdout.Close() // the server has its own
	defer stderr.Close()
	p.Stdout, p.stdout, p.Stderr, p.stderr = stdout, stdout.Name(), stderr, stderr.Name()
	ts.Check(p.Start())
	go func() {
		_ = p.Wait() // terminate looks at how it ended
		close(p.ended)
	}()
	ts.Defer(func() {
		_ = p.Process.Kill() // unless it has ended
		<-p.ended
	})
	all.at[addr] = p
}

// output makes a file for what a server prints, which the script can read while the server runs.
func output(ts *testscript.TestScript, name string) *os.File {
	file, err := os.Create(ts.MkAbs(strings.ReplaceAll(name, ":", "-")))
	ts.Check(err)
	return file
}

func ready(ts *testscript.TestScript, _ []string) {
	p, limit := here(ts), time.After(30*time.Second)
	for !healthy(ts.Getenv("LATCHKEY_ADDR")) {
		select {
		case <-p.ended:
			ts.Fatalf("the server ended: %v\n%s", p.ProcessState, ts.ReadFile(p.stderr))
		case <-limit:
			ts.Fatalf("the server does not answer\n%s", ts.ReadFile(p.stderr))
		case <-time.After(10 * time.Millisecond):
		}
	}
	fmt.Fprint(ts.Stdout(), ts.ReadFile(p.stdout))
}

func healthy(addr string) bool {
	response, err := http.Get("http://" + addr + "/healthz")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func serveAndWait(ts *testscript.TestScript, args []string) {
	start(ts, args)
	ready(ts, nil)
}

func terminate(ts *testscript.TestScript, args []string) {
	p, signal := here(ts), syscall.SIGTERM
	if slices.Equal(args, []string{"SIGHUP"}) {
		signal = syscall.SIGHUP
	}
	ts.Check(p.Process.Signal(signal))
	select {
	case <-p.ended:
	case <-time.After(15 * time.Second):
		ts.Fatalf("the server still runs 15 s after the signal")
	}
	fmt.Fprint(ts.Stdout(), ts.ReadFile(p.stdout))
	fmt.Fprint(ts.Stderr(), ts.ReadFile(p.stderr))
	if !p.ProcessState.Success() {
		ts.Fatalf("the server ended by %v\n%s", p.ProcessState, ts.ReadFile(p.stderr))
	}
}

func askServer(ts *testscript.TestScript, args []string) {
	fmt.Fprintln(ts.Stdout(), answer(ts, args[0], args[1:]...))
}

func login(ts *testscript.TestScript, args []string) {
	const mutation = `mutation { login(input: {username: %q, password: %q}) { accessToken refreshToken user { username } } }`
	askServer(ts, []string{fmt.Sprintf(mutation, args[0], args[1])})
}

func within(ts *testscript.TestScript, args []string) {
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	wanted, err := regexp.Compile(args[1])
	ts.Check(err)
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		got := answer(ts, args[2], args[3])
		if wanted.MatchString(got) {
			fmt.Fprintln(ts.Stdout(), got)
			return
		}
		if time.Since(begun) > limit {
			ts.Fatalf("after %v the answer was still %s", limit, got)
		}
	}
}

// answer asks the server on LATCHKEY_ADDR.
func answer(ts *testscript.TestScript, query string, token ...string) string {
	body, err := json.Marshal(map[string]string{"query": query})
	ts.Check(err)
	r, err := http.NewRequest(http.MethodPost, "http://"+ts.Getenv("LATCHKEY_ADDR")+"/graphql", bytes.NewReader(body))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	for _, t := range token {
		r.Header.Set("Authorization", "Bearer "+t)
	}
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	return string(text)
}

func capture(ts *testscript.TestScript, args []string) {
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	found := re.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("nothing like it in stdout")
	}
	ts.Setenv(args[0], found[1])
}

func mode(ts *testscript.TestScript, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

// Without this, a command that panics exits with 0, and a script takes it for done.
func TestAPanicIsNoSuccess(t *testing.T) {
	var err error
	panicked := func() (panicked any) {
		defer func() { panicked = recover() }()
		err = run(t.Context(), Options{}, []string{"version"}, nil, stdio{}) // there is nothing to print to
		return nil
	}()
	if panicked == nil && err == nil {
		t.Error("a panic became a success")
	}
}
