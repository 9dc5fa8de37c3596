package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// If this fails, a file that is no manifest, such as a device, exhausts the memory of the machine that deploys. T198.
func TestAHugeManifestIsNotRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "huge.json")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, maxManifest+1); err != nil {
		t.Fatal(err)
	}
	if data, err := readBounded(name); err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
