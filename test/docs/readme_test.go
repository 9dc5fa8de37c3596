package docs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestReadmeIsShort(t *testing.T) {
	if n := strings.Count(read(t, "../../README.md"), "\n"); n > 150 {
		t.Errorf("README.md has %d lines, want at most 150", n)
	}
}

// TestTheStepsOfTheReadmeAddAType does what README.md says to the letter, in a copy of the repository, and uses the result.
func TestTheStepsOfTheReadmeAddAType(t *testing.T) {
	clone := copyRepository(t)
	readme := read(t, "../../README.md")
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

// copyRepository returns a copy of the repository with no project shop beside it. Tests share it, since another one would be
// compiled again; so those that call it are not parallel.
func copyRepository(t *testing.T) string {
	t.Helper()
	clone := filepath.Join(copied, "latchkey")
	if err := os.RemoveAll(filepath.Join(copied, "shop")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(clone); err == nil {
		return clone
	}
	for file := range strings.FieldsSeq(runIn(t, "../..", "git", "ls-files", "--cached", "--others", "--exclude-standard")) {
		if text, err := os.ReadFile(filepath.Join("../..", file)); err == nil { // deleted, not yet committed
			write(t, filepath.Join(clone, file), string(text))
		}
	}
	return clone
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

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
