package docs

import "testing"

// Without one of its lines, Hive Gateway enforces nothing, or lets nobody in; `make federation` runs it with this file.
func TestTheConfigurationOfHiveGatewayIsTheTestedOne(t *testing.T) {
	t.Parallel()
	if namedBlocks(read(t, "../../docs/federation.md"))["hive.config.mjs"] != read(t, "../federation/hive.config.mjs") {
		t.Error("docs/federation.md shows another configuration than test/federation/hive.config.mjs")
	}
}
