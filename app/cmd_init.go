package app

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"text/template"

	"github.com/latchkey/latchkey/internal/lazy"
)

//go:embed all:skeleton
var skeleton embed.FS

// initCommands are commands that only Latchkey's own program has.
type initCommands struct {
	Init initCmd `cmd:"" help:"Create a project that includes Latchkey: a schema, a generator, a server, a migration and a test."`
}

type initCmd struct {
	Dir    string `arg:"" optional:"" default:"." help:"The folder, which is created. If it has a gqlgen.yml, no file is changed: missing files are added, and the changes that you need to make are printed."`
	Module string `help:"The project's module path. Default: example.com/ and the folder's name." placeholder:"PATH"`
}

// A project is the data of the skeleton's templates.
type project struct {
	Name    string // of the program
	Module  string
	Go      string // version of Go
	Version string // of Latchkey's module; if empty, Clone is used
	Clone   string // the folder of a clone of Latchkey's repository
}

var (
	moduleLine  = lazy.Regexp(`(?m)^module\s+(\S+)`)
	projectName = lazy.Regexp(`^[a-z][a-z0-9_]{0,40}$`)
	modulePath  = lazy.Regexp(`^[A-Za-z0-9][A-Za-z0-9._~/-]*$`)
)

func (c *initCmd) Run(io stdio) error {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "gqlgen.yml")); err == nil {
		return c.addTo(dir, io.out)
	}
	p, err := c.project(dir)
	if err != nil {
		return err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty, and has no gqlgen.yml: choose a new folder", c.Dir)
	}
	if err := p.write(dir, skeletonFiles()); err != nil {
		return err
	}
	cd := ""
	if c.Dir != "." {
		cd = "  cd " + c.Dir + "\n"
	}
	_, err = fmt.Fprintf(io.out, "wrote %s\n\nNext:\n\n%s  go mod tidy\n  go generate ./...\n  go test ./...\n  go run .\n\nThen add types to graph/schema.graphqls, and read README.md.\n", c.Dir, cd)
	return err
}

// project returns the project of the folder.
func (c *initCmd) project(dir string) (*project, error) {
	name := strings.ReplaceAll(strings.ToLower(filepath.Base(dir)), "-", "_")
	if !projectName().MatchString(name) {
		return nil, &usageError{fmt.Errorf("the folder's name %q must begin with a letter and contain only letters, digits, - and _: it is the program's name", filepath.Base(dir))}
	}
	p := &project{Name: name, Module: cmp.Or(c.Module, "example.com/"+name), Go: "1.26"}
	if !modulePath().MatchString(p.Module) {
		return nil, &usageError{fmt.Errorf("--module must be a module path such as example.com/shop, not %q", p.Module)}
	}
	err := p.findLatchkey()
	return p, err
}

// findLatchkey sets Clone if the command runs in a clone of Latchkey's repository, and otherwise Version to the version that
// the program was built from.
func (p *project) findLatchkey() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	for ; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if m := moduleLine().FindSubmatch(text); err == nil && m != nil && string(m[1]) == "github.com/latchkey/latchkey" {
			p.Clone = dir
			return nil
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") && !strings.Contains(info.Main.Version, "+") {
		p.Version = info.Main.Version
		return nil
	}
	return errors.New("this program was not built from a version of Latchkey: run the command in a clone of Latchkey's repository")
}

// skeletonFiles returns the templates of a new project's files, by file name.
func skeletonFiles() map[string]string {
	files := map[string]string{}
	err := fs.WalkDir(skeleton, "skeleton", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(skeleton, path)
		name := strings.TrimSuffix(strings.TrimPrefix(path, "skeleton/"), ".tmpl")
		if name == "gitignore" {
			name = ".gitignore"
		}
		files[name] = string(text)
		return err
	})
	if err != nil {
		panic(err) // the files are embedded
	}
	return files
}

// write writes the files of the templates. It does not overwrite a file.
func (p *project) write(dir string, files map[string]string) error {
	for name, text := range files {
		t, err := template.New(name).Parse(text)
		if err != nil {
			return fmt.Errorf("template %s: %w", name, err)
		}
		var b bytes.Buffer
		if err := t.Execute(&b, p); err != nil {
			return fmt.Errorf("template %s: %w", name, err)
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(b.Bytes())
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// addTo adds missing files to a gqlgen project, and prints the necessary changes of its files as a diff.
func (c *initCmd) addTo(dir string, out io.Writer) error {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	m := moduleLine().FindSubmatch(text)
	if err != nil || m == nil {
		return fmt.Errorf("%s has a gqlgen.yml but no go.mod with a module", c.Dir)
	}
	p := &project{Module: string(m[1])}
	if err := p.findLatchkey(); err != nil {
		return err
	}
	const generator = "generate/main.go"
	if _, err := os.Stat(filepath.Join(dir, generator)); errors.Is(err, fs.ErrNotExist) {
		body := strings.Replace(skeletonFiles()[generator], "include.Options{StrictScalars: true}", "include.Options{}", 1)
		if err := p.write(dir, map[string]string{generator: body}); err != nil {
			return err
		}
		fmt.Fprintf(out, "wrote %s\n", generator)
	}
	changes, err := existingChanges(dir)
	if err != nil {
		return err
	}
	get := "go get github.com/latchkey/latchkey@" + p.Version
	if p.Clone != "" {
		get = "go mod edit -require github.com/latchkey/latchkey@v0.0.0 -replace github.com/latchkey/latchkey=" + p.Clone + " && go mod tidy -e"
	}
	fmt.Fprintf(out, `
Your files were not changed. Make these changes:

%s
and where the server is made, join the schema with Latchkey's directives and serve it by Latchkey's handler:

	server, err := app.New(ctx, app.Options{Name: "…", Schema: func(p app.Parts) graphql.ExecutableSchema {
		c := Config{Resolvers: &Resolver{Latchkey: p.Resolver()}, Directives: Guards(p.Auth)}
		return NewExecutableSchema(c)
	}}, app.Config{…})

Then:

  %s
  go run ./generate

docs/existing-project.md has all steps, and what to do where your types have the names of Latchkey's.
`, changes, get)
	return nil
}
