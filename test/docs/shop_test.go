package docs

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A document whose code is not that of the example sends its reader the wrong way.
func TestTheCodeOfTheDocumentsIsThatOfTheShop(t *testing.T) {
	t.Parallel()
	excerpts := namedBlocks(read(t, "../../docs/build-a-feature.md"))
	if len(excerpts) < 8 {
		t.Errorf("found %d excerpts", len(excerpts))
	}
	for name, text := range excerpts {
		file, _, _ := strings.Cut(name, "#")
		source := read(t, filepath.Join("../../examples/shop", file))
		for part := range strings.SplitSeq(text, "…\n") {
			if !strings.Contains(source, strings.TrimSpace(part)) {
				t.Errorf("examples/shop/%s does not contain:\n%s", file, part)
			}
		}
	}
}

// The README of the example counts its lines.
func TestTheShopIsAsSmallAsItSays(t *testing.T) {
	t.Parallel()
	lines := 0
	for _, pattern := range []string{"*.go", "*.yml", "generate/*.go", "graph/resolver.go", "graph/*.graphqls", "orders/*.go", "orders/migrations/*.sql"} {
		files, err := filepath.Glob(filepath.Join("../../examples/shop", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			for line := range strings.Lines(read(t, file)) {
				if !regexp.MustCompile(`^\s*((//|#|--|").*)?$`).MatchString(strings.TrimSuffix(line, "\n")) {
					lines++
				}
			}
		}
	}
	lines += len(regexp.MustCompile(`(?m)r\.Store\..*$|Payload\{Order`).FindAllString(read(t, "../../examples/shop/graph/shop.resolvers.go"), -1))
	if said := fmt.Sprintf("%d lines are written by hand", lines); lines >= 350 || !strings.Contains(read(t, "../../examples/shop/README.md"), said) {
		t.Errorf("examples/shop/README.md does not say: %s", said)
	}
}
