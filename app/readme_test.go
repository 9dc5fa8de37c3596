package app

import (
	"encoding/json"
	"fmt"
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
	parser, err := kong.New(latchkey.commandLine(), latchkey.vars())
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

// TestTheStepsOfTheReadmeAddAType does what README.md says to the letter, in a copy of the repository, and uses the result.
func TestTheStepsOfTheReadmeAddAType(t *testing.T) {
	clone := copyRepository(t)
	readme := read(t, "../README.md")
	runIn(t, clone, "sh", "-ec", markedBlock(t, readme, "init"))
	dir := filepath.Join(filepath.Dir(clone), "shop")
	resolvers := ""
	for file, text := range namedBlocks(readme) {
		if strings.HasSuffix(file, ".resolvers.go") {
			resolvers = text
			continue
		}
		write(t, filepath.Join(dir, file), text)
	}
	write(t, filepath.Join(dir, "graph/expensive.graphqls"), `extend type Query { "Expensive." expensive: Int @public @cost(weight: 5000) }`) // docs/limits.md
	runIn(t, dir, "go", "generate", "./...")
	for function := range strings.SplitSeq(strings.TrimSpace(resolvers), "\n\n") {
		fillIn(t, filepath.Join(dir, "graph/notes.resolvers.go"), function+"\n")
	}
	runIn(t, dir, "go", "vet", "./...")
	if unformatted := runIn(t, dir, "gofmt", "-l", "."); unformatted != "" {
		t.Errorf("not formatted: %s", unformatted)
	}
	runIn(t, dir, "go", "test", "./...")
	runIn(t, dir, "go", "build", "-o", "shop", ".")
	if out := runIn(t, dir, "./shop", "schema", "audit"); !strings.Contains(out, "Query.notes") || !strings.Contains(out, "User.nickname") {
		t.Errorf("the audit does not list the new fields:\n%s", out)
	}
	t.Setenv("DATABASE_URL", "sqlite:"+filepath.Join(dir, "new.db"))
	token := strings.TrimSpace(lastLine(runIn(t, dir, "sh", "-c", "./shop user create ann >/dev/null && ./shop token create ann --name test 2>/dev/null")))
	for _, c := range []struct{ token, query, want string }{
		{token, `{ notes { text } me { nickname } }`, `{"data":{"notes":[],"me":{"nickname":null}}}`},
		{token, `mutation { addNote(text: "remember the milk") { text } }`, `{"data":{"addNote":{"text":"remember the milk"}}}`},
		{token, `{ notes { text } }`, `{"data":{"notes":[{"text":"remember the milk"}]}}`},
		{token, `{ expensive }`, "QUERY_TOO_COMPLEX"},
		{"", `{ notes { text } }`, "UNAUTHENTICATED"},
	} {
		if answer := serveAndAsk(t, dir, "./shop", c.token, c.query); !strings.Contains(answer, c.want) {
			t.Errorf("%s: got %s, want %s", c.query, answer, c.want)
		}
	}
}

// markedBlock is the fenced block that follows a marker <!-- ci:NAME -->, which .ci/run reads too.
func markedBlock(t *testing.T, document, name string) string {
	t.Helper()
	m := regexp.MustCompile("(?s)<!-- ci:" + name + " -->\n```sh\n(.*?)```").FindStringSubmatch(document)
	if m == nil {
		t.Fatalf("there is no block after the marker ci:%s", name)
	}
	return m[1]
}

// A document whose code is not that of the example sends its reader the wrong way.
func TestTheCodeOfTheDocumentsIsThatOfTheShop(t *testing.T) {
	t.Parallel()
	excerpts := namedBlocks(read(t, "../docs/build-a-feature.md"))
	if len(excerpts) < 8 {
		t.Errorf("found %d excerpts", len(excerpts))
	}
	for name, text := range excerpts {
		file, _, _ := strings.Cut(name, "#")
		source := read(t, filepath.Join("../examples/shop", file))
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
		files, err := filepath.Glob(filepath.Join("../examples/shop", pattern))
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
	lines += len(regexp.MustCompile(`(?m)r\.Store\..*$|Payload\{Order`).FindAllString(read(t, "../examples/shop/graph/shop.resolvers.go"), -1))
	if said := fmt.Sprintf("%d lines are written by hand", lines); lines >= 350 || !strings.Contains(read(t, "../examples/shop/README.md"), said) {
		t.Errorf("examples/shop/README.md does not say: %s", said)
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
	dir := filepath.Join(t.TempDir(), "latchkey")
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
	write(t, file, generated.ReplaceAllLiteralString(text, function))
}

// serveAndAsk serves with the built program and asks one query.
func serveAndAsk(t *testing.T, dir, program, token, query string) string {
	t.Helper()
	script := `
: > out.log
"$PROGRAM" serve --addr 127.0.0.1:0 > out.log 2>&1 &
pid=$!
trap 'kill $pid; wait $pid' EXIT
for i in $(seq 100); do grep -q 'GraphQL ' out.log && break; sleep 0.1; done
url=$(sed -n 's/.*GraphQL  *//p' out.log)
curl -s "$url" -H 'Content-Type: application/json' ${TOKEN:+-H "Authorization: Bearer $TOKEN"} -d "$BODY"`
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PROGRAM", program)
	t.Setenv("TOKEN", token)
	t.Setenv("BODY", string(body))
	return runIn(t, dir, "sh", "-c", script)
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
