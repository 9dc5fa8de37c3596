package app

import (
	"path/filepath"
	"regexp"
	"testing"
)

// testscript has a command stop of its own, which ends the script there and reports success: what follows is never
// tried. The command that ends a server is terminate.
func TestNoScriptEndsBeforeItsLastLine(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal("there are no scripts", err)
	}
	stop := regexp.MustCompile(`(?m)^(\[.*\] +)?stop\b`)
	for _, script := range scripts {
		if stop.MatchString(read(t, script)) {
			t.Errorf("%s uses stop: use terminate", script)
		}
	}
}
