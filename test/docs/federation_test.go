package docs

import (
	"strings"
	"testing"
)

// Without one of its lines, Hive Gateway enforces nothing, or lets nobody in; `make federation` runs it with this file.
func TestTheConfigurationOfHiveGatewayIsTheTestedOne(t *testing.T) {
	t.Parallel()
	if namedBlocks(read(t, "../../docs/federation.md"))["hive.config.mjs"] != read(t, "../federation/hive.config.mjs") {
		t.Error("docs/federation.md shows another configuration than test/federation/hive.config.mjs")
	}
}

// A project that copies what examples/shop does not do would be another one than is tested.
func TestAProjectIsASubgraphAsTheShopIs(t *testing.T) {
	t.Parallel()
	blocks := namedBlocks(read(t, "../../docs/federation.md"))
	for _, file := range []string{"generate/main.go", "graph/resolver.go"} {
		if blocks[file] == "" || !strings.Contains(read(t, "../../examples/shop/"+file), strings.TrimSpace(blocks[file])) {
			t.Errorf("examples/shop/%s does not contain:\n%s", file, blocks[file])
		}
	}
}
