package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/latchkey/latchkey/graph/lint"
)

type schemaLintCmd struct {
	listFlags
	Guard      []string    `placeholder:"NAME" help:"A directive of the project that decides whether a caller may access a field, such as hasRole. authenticated, requiresScopes and policy are known."`
	Public     []string    `placeholder:"NAME" help:"A directive that allows every caller to access a field. public is known."`
	EveryField bool        `help:"Report every field of every object without a guard, not only root fields."`
	Ignore     []lint.Code `placeholder:"CODE" help:"Do not report findings of this code."`
	Paths      []string    `arg:"" optional:"" name:"path" help:"A folder with gqlgen.yml, a gqlgen.yml, or schema files. Default: the current folder."`
}

// Help implements kong.HelpProvider.
func (c *schemaLintCmd) Help() string {
	return "Reads gqlgen.yml and the schema files that it names; writes nothing and runs nothing. Exit codes: 0 no findings, or only hints; 1 findings; 2 wrong usage."
}

func (c *schemaLintCmd) Run(io stdio) error {
	found, err := c.lint()
	if path, name := (*lint.PathError)(nil), (*lint.UnknownNameError)(nil); errors.As(err, &path) || errors.As(err, &name) {
		return &usageError{err}
	}
	if err != nil {
		return err
	}
	if err := c.print(io.out, found); err != nil {
		return err
	}
	counts := map[lint.Level]int{}
	for _, f := range found {
		counts[f.Level]++
	}
	if counts[lint.Error]+counts[lint.Warning] == 0 {
		return nil
	}
	return fmt.Errorf("errors: %d, warnings: %d, hints: %d", counts[lint.Error], counts[lint.Warning], counts[lint.Hint])
}

func (c *schemaLintCmd) lint() ([]lint.Finding, error) {
	project, err := lint.Load(c.Paths...)
	if err != nil {
		return nil, err
	}
	return project.Lint(lint.Options{Guards: c.Guard, Public: c.Public, EveryField: c.EveryField, Ignore: c.Ignore})
}

// print prints a line for each finding, and then for each code how to fix it.
func (c *schemaLintCmd) print(w io.Writer, found []lint.Finding) error {
	if c.JSON {
		lines := json.NewEncoder(w)
		lines.SetEscapeHTML(false)
		for _, f := range found {
			if err := lines.Encode(f); err != nil {
				return err
			}
		}
		return nil
	}
	codes := map[lint.Code]bool{}
	for _, f := range found {
		codes[f.Code] = true
		fmt.Fprintln(w, printable(fmt.Sprintf("%s:%d:%d: %s: %s: %s", f.File, f.Line, f.Column, f.Level, f.Code, f.Message)))
	}
	if len(found) > 0 {
		fmt.Fprintln(w, "\nTo fix them:")
	}
	for _, k := range lint.Kinds {
		if codes[k.Code] {
			fmt.Fprintf(w, "  %s: %s\n", k.Code, k.Fix)
		}
	}
	return nil
}
