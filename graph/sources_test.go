package graph

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A fault in the schema that the program was built with must name a file that an editor can open.
func TestSourcesAreNamedFromTheRepositorysRoot(t *testing.T) {
	t.Parallel()
	files := Sources(ownExecutable)
	if len(files) == 0 {
		t.Fatal("there are no sources")
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join("..", f.Name))
		if errors.Is(err, fs.ErrNotExist) || strings.Contains(f.Name, "..") || string(text) != f.Input {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}
