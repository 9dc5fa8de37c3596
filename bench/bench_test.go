package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// One short round of everything on SQLite: the harness starts, fills the database, and gets the right responses.
func TestTheHarnessMeasuresEveryCase(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the harness reads /proc")
	}
	file := filepath.Join(t.TempDir(), "figures.json")
	var out, errs bytes.Buffer
	args := "-databases sqlite -rounds 1 -connections 4 -duration 100ms -warmup 20ms -starts 1 -idle 0 -users 80 -tokens 500"
	if err := bench(t.Context(), append(strings.Fields(args), "-json", file), &out, &errs); err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	var r report
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		for _, server := range []string{"yardstick", "latchkey"} {
			found := r.find("sqlite", s.name, server)
			if found == nil || len(found.Samples) != 1 || found.Samples[0].CPU <= 0 || found.Samples[0].PerSecond <= 0 {
				t.Errorf("%s on %s: %+v", s.name, server, found)
			}
		}
		if !strings.Contains(out.String(), "| sqlite | "+s.name+" | latchkey |") {
			t.Errorf("the table lacks %s:\n%s", s.name, &out)
		}
	}
	for _, s := range r.Startups {
		if s.FirstResponse <= 0 || s.Idle <= 0 || s.Peak <= 0 {
			t.Errorf("%+v", s)
		}
	}
	if len(r.Startups) != 2 {
		t.Errorf("%d servers were started anew", len(r.Startups))
	}
}

func TestUnknownCasesAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-cases nothing", "-rounds 0", "me"} {
		if _, err := parseOptions(strings.Fields(args), new(bytes.Buffer)); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
}
