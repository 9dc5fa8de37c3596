package app

import (
	"database/sql"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/latchkey/latchkey/graph"
)

func TestTheDocumentsListEverySetting(t *testing.T) {
	documents := read(t, "../docs/settings.md") + read(t, "../docs/limits.md")
	parser, err := kong.New(&cli{}, latchkey.vars())
	if err != nil {
		t.Fatal(err)
	}
	settings := 0
	for _, leaf := range append(parser.Model.Leaves(false), parser.Model.Node) {
		for _, f := range leaf.Flags {
			for _, env := range f.Envs {
				settings++
				row := regexp.MustCompile("(?m)^\\| `" + env + "` \\|(.*)$").FindString(documents)
				if row == "" || f.Default != "" && !strings.Contains(row, "`"+f.Default+"`") {
					t.Errorf("the tables lack %s with the default %q: %q", env, f.Default, row)
				}
			}
		}
	}
	if rows := len(regexp.MustCompile("(?m)^\\| `[A-Z_]+` \\|").FindAllString(documents, -1)); rows != settings+1 { // LATCHKEY_SECRET is no flag
		t.Errorf("the tables list %d settings; there are %d", rows, settings+1)
	}
}

// A limit whose documented default is not the one in force says nothing.
func TestTheLimitsOfTheSettingsAreTheDefaults(t *testing.T) {
	var c cli
	parser, err := kong.New(&c, latchkey.vars())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"serve"}); err != nil {
		t.Fatal(err)
	}
	if c.Serve.Limits != graph.DefaultLimits {
		t.Errorf("got  %+v\nwant %+v", c.Serve.Limits, graph.DefaultLimits)
	}
}

func TestReadmeIsShort(t *testing.T) {
	if n := strings.Count(read(t, "../README.md"), "\n"); n > 150 {
		t.Errorf("README.md has %d lines, want at most 150", n)
	}
}

// T131.
func TestEveryLinkedModulesLicenceIsListed(t *testing.T) {
	listed := read(t, "../docs/licences.md")
	for module := range strings.FieldsSeq(runIn(t, "..", "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")) {
		if module != "github.com/latchkey/latchkey" && !strings.Contains(listed, "| "+module+" |") {
			t.Errorf("docs/licences.md lacks %s", module)
		}
	}
}

// TestTheStepsOfTheDocumentsAddATypeAndAField does to a copy of the repository what README.md and
// docs/add-a-field.md say, and queries the result.
func TestTheStepsOfTheDocumentsAddATypeAndAField(t *testing.T) {
	dir := copyRepository(t)
	resolver := ""
	for _, document := range []string{"README.md", "docs/add-a-field.md"} {
		for file, text := range namedBlocks(read(t, "../"+document)) {
			if strings.HasSuffix(file, ".resolvers.go") {
				resolver = text
				continue
			}
			write(t, filepath.Join(dir, file), text)
		}
	}
	write(t, filepath.Join(dir, "dear.graphqls"), `extend type Query { "Dear." dear: Int @public @cost(weight: 5000) }`) // docs/limits.md
	runIn(t, dir, "go", "tool", "gqlgen")
	fillIn(t, filepath.Join(dir, "graph/notes.resolvers.go"), resolver)
	runIn(t, dir, "go", "build", "-o", "latchkey", ".")
	if out := runIn(t, dir, "./latchkey", "schema", "audit"); !strings.Contains(out, "Query.notes") || !strings.Contains(out, "User.phoneNumber") {
		t.Errorf("the audit does not list the new fields:\n%s", out)
	}
	t.Setenv("DATABASE_URL", "sqlite:"+filepath.Join(dir, "new.db"))
	token := strings.TrimSpace(lastLine(runIn(t, dir, "sh", "-c", "./latchkey user create ann >/dev/null && ./latchkey token create ann --name test 2>/dev/null")))
	addNote(t, os.Getenv("DATABASE_URL"))
	answer := serveAndAsk(t, dir, token, `{ notes { text } me { phoneNumber } }`)
	if answer != `{"data":{"notes":[{"text":"remember the milk"}],"me":{"phoneNumber":"unknown"}}}` {
		t.Errorf("got %s", answer)
	}
	if refused := serveAndAsk(t, dir, token, `{ dear }`); !strings.Contains(refused, "QUERY_TOO_COMPLEX") {
		t.Errorf("the new field costs nothing: %s", refused)
	}
	if refused := serveAndAsk(t, dir, "", `{ notes { text } }`); !strings.Contains(refused, "UNAUTHENTICATED") {
		t.Errorf("the new field is open to anyone: %s", refused)
	}
}

var namedBlock = regexp.MustCompile("(?ms)^( *)```\\w+ (\\S+)\n(.*?)^ *```$")

// namedBlocks are the fenced blocks of a document whose first line names a file.
func namedBlocks(document string) map[string]string {
	blocks := map[string]string{}
	for _, m := range namedBlock.FindAllStringSubmatch(document, -1) {
		blocks[m[2]] = regexp.MustCompile("(?m)^"+m[1]).ReplaceAllString(m[3], "")
	}
	return blocks
}

func copyRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := strings.Fields(runIn(t, "..", "git", "ls-files", "--cached", "--others", "--exclude-standard"))
	for _, file := range files {
		if text, err := os.ReadFile(filepath.Join("..", file)); err == nil { // deleted, not yet committed
			write(t, filepath.Join(dir, file), string(text))
		}
	}
	return dir
}

// fillIn puts a function into the file in the place of the one with the same first line.
func fillIn(t *testing.T, file, function string) {
	t.Helper()
	head, _, _ := strings.Cut(function, "\n")
	generated := regexp.MustCompile("(?s)" + regexp.QuoteMeta(head) + "\n.*?\n}\n")
	text := read(t, file)
	if !generated.MatchString(text) {
		t.Fatalf("%s has no %s:\n%s", file, head, text)
	}
	text = generated.ReplaceAllString(text, function)
	write(t, file, strings.Replace(text, "\t\"fmt\"\n", "", 1))
}

// serveAndAsk serves with the built program and asks one query.
func serveAndAsk(t *testing.T, dir, token, query string) string {
	t.Helper()
	script := `
: > out.log
./latchkey serve --addr 127.0.0.1:0 > out.log 2>&1 &
pid=$!
trap 'kill $pid; wait $pid' EXIT
for i in $(seq 100); do grep -q 'GraphQL ' out.log && break; sleep 0.1; done
url=$(sed -n 's/.*GraphQL  *//p' out.log)
curl -s "$url" -H 'Content-Type: application/json' ${TOKEN:+-H "Authorization: Bearer $TOKEN"} -d "$BODY"`
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TOKEN", token)
	t.Setenv("BODY", string(body))
	return runIn(t, dir, "sh", "-c", script)
}

// addNote writes a note of ann's, if it is not there.
func addNote(t *testing.T, url string) {
	t.Helper()
	d, err := sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = d.Exec(`INSERT INTO notes SELECT 'note_1', id, 'remember the milk' FROM users WHERE username = 'ann' ON CONFLICT DO NOTHING`)
	if err != nil {
		t.Fatal(err)
	}
}

func runIn(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
