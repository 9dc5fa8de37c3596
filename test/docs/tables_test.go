package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/test/servertest"
	"github.com/latchkey/latchkey/token"
)

// A limit whose documented default is not the one in force says nothing.
func TestTheLimitsOfTheSettingsAreTheDefaults(t *testing.T) {
	settings, err := app.ServeSettingsFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if settings.Limits != graph.DefaultLimits {
		t.Errorf("got  %+v\nwant %+v", settings.Limits, graph.DefaultLimits)
	}
}

func TestEveryCodeAndReasonIsDocumented(t *testing.T) {
	text := read(t, "../../docs/errors.md")
	var names []string
	for _, reason := range token.Reasons {
		names = append(names, string(reason))
	}
	for _, c := range graph.Codes {
		names = append(names, string(c))
	}
	for _, name := range names {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/errors.md does not explain %s", name)
		}
	}
}

func TestTheDashboardShowsMetricsThatExist(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	s.Session("alice", servertest.AlicePassword)
	figures := s.Scrape()
	for _, name := range regexp.MustCompile(`(latchkey|process)_\w+`).FindAllString(read(t, "../../docs/grafana.json"), -1) {
		if !strings.Contains(figures, name) {
			t.Errorf("docs/grafana.json shows %s, which there is not", name)
		}
	}
}

// T131.
func TestEveryLinkedModulesLicenceIsListed(t *testing.T) {
	listed := read(t, "../../docs/licences.md")
	for module := range strings.FieldsSeq(runIn(t, "../..", "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")) {
		if module != "github.com/latchkey/latchkey" && !strings.Contains(listed, "| "+module+" |") {
			t.Errorf("docs/licences.md lacks %s", module)
		}
	}
}
