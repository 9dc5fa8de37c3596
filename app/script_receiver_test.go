package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Commands of scripts about webhooks:
//
//	receiver NAME SECRET  start a receiver, which verifies what it gets, and set NAME to its URL
//	answers NAME STATUS   it responds with this status from now on; at first with 204
//	receives NAME REGEXP  wait until it has got a message that matches; stdout is all that it has got
//	crash                 end the server as kill -9 does
func init() {
	scriptCommands["receiver"] = command(2, 2, startReceiver)
	scriptCommands["answers"] = command(2, 2, receiverAnswers)
	scriptCommands["receives"] = command(2, 2, receives)
	scriptCommands["crash"] = command(0, 0, killServer)
}

type receiver struct {
	mu     sync.Mutex
	status int
	text   string
	secret string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	hook, err := standardwebhooks.NewWebhook(r.secret)
	if err == nil {
		err = hook.Verify(body, request.Header)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.text += fmt.Sprintln("NOT VERIFIED:", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.text += fmt.Sprintf("%d %s %s\n", r.status, request.Header.Get("webhook-id"), body)
	w.WriteHeader(r.status)
}

func startReceiver(ts *testscript.TestScript, args []string) {
	r := &receiver{status: http.StatusNoContent, secret: args[1]}
	server := httptest.NewServer(r)
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
	ts.Value(processesKey{}).(*processes).receivers.Store(args[0], r)
}

func receiverOf(ts *testscript.TestScript, name string) *receiver {
	r, ok := ts.Value(processesKey{}).(*processes).receivers.Load(name)
	if !ok {
		ts.Fatalf("there is no receiver %s", name)
	}
	return r.(*receiver)
}

func receiverAnswers(ts *testscript.TestScript, args []string) {
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	r := receiverOf(ts, args[0])
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func receives(ts *testscript.TestScript, args []string) {
	r, wanted := receiverOf(ts, args[0]), regexp.MustCompile("(?m)"+args[1])
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(20 * time.Millisecond) { // the lease of a process that was killed is a minute
		r.mu.Lock()
		text := r.text
		r.mu.Unlock()
		if wanted.MatchString(text) {
			fmt.Fprint(ts.Stdout(), text)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the receiver got no such message, but:\n%s", text)
		}
	}
}

func killServer(ts *testscript.TestScript, _ []string) {
	p := here(ts)
	ts.Check(p.Process.Kill())
	<-p.ended
}
