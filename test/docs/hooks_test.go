package docs

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/auth/webhooks"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph"
)

// A hook that is written by the page must compile and do what the example's test says.
func TestTheCodeOfHooksIsThatOfTheExample(t *testing.T) {
	example := read(t, "../../app/example_hooks_test.go")
	blocks := regexp.MustCompile("(?s)```go app/example_hooks_test.go\n(.*?)```").FindAllStringSubmatch(read(t, "../../docs/hooks.md"), -1)
	if len(blocks) != 2 {
		t.Errorf("found %d blocks", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(example, b[1]) {
			t.Errorf("the example lacks:\n%s", b[1])
		}
	}
}

// A kind that a program or a receiver does not know of is one that it does not ask for.
func TestEveryKindOfEventIsListed(t *testing.T) {
	var schema []db.EventKind
	for _, v := range graph.NewExecutableSchema(new(graph.Resolver)).Schema().Types["SecurityEventKind"].EnumValues {
		schema = append(schema, db.EventKind(v.Name))
	}
	kinds := slices.Sorted(slices.Values(auth.EventKinds))
	if slices.Sort(schema); !slices.Equal(schema, kinds) {
		t.Errorf("the schema has  %v\nauth.EventKinds %v", schema, kinds)
	}
	document := read(t, "../../docs/webhooks.md")
	for _, kind := range kinds {
		name := webhooks.TypeOf(kind)
		group, _, _ := strings.Cut(name, ".")
		row := regexp.MustCompile("(?m)^\\| .*`(" + regexp.QuoteMeta(name) + "|" + group + `\.\*)` + "`.*\\|$").FindString(document)
		sent := slices.ContainsFunc(webhooks.DefaultEvents, func(pattern string) bool {
			matched, _ := path.Match(pattern, name)
			return matched
		})
		if says := regexp.MustCompile(`\| yes[^|]*\|$`).MatchString(row); row == "" || says != sent {
			t.Errorf("docs/webhooks.md says of %s: %q; it is sent by default: %t", name, row, sent)
		}
	}
}
