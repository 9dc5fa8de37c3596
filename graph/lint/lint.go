// Package lint finds what is open in the schema of a gqlgen project: root fields without a guard, and guards in places
// where gqlgen does not run them. A guard is a directive that decides whether a caller may have a field.
//
// It reads gqlgen.yml and the schema files and nothing else: it runs no code generation, needs no Go toolchain and writes
// nothing. It does not know what a directive's function does, nor which checks resolvers make themselves. What it says of
// gqlgen is what gqlgen v0.17.98 generates; the test of this package generates a schema and compares.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
)

// A Finding is one place of a schema with what is wrong there. Its field names in JSON, its codes and its levels are
// stable.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Code    Code   `json:"code"`
	Level   Level  `json:"level"`
	Subject string `json:"subject"` // Type, Type.field, Enum.VALUE, Type.field(argument:), schema or @directive
	Message string `json:"message"`
	Fix     string `json:"fix"`
}

// A Level says how much a finding matters.
type Level string

// The levels. A hint is not counted as a finding: it may be intended.
const (
	Error   Level = "error"   // a field is open, or a guard does not run
	Warning Level = "warning" // a guard runs, and does something surprising
	Hint    Level = "hint"    // a question to the reader
)

// A Code names a kind of finding.
type Code string

// The codes.
const (
	UnguardedRootField      Code = "unguarded-root-field"
	UnguardedField          Code = "unguarded-field"
	UnguardedEntity         Code = "unguarded-entity"
	UnguardedImplementation Code = "unguarded-implementation"
	GuardNotRun             Code = "guard-not-run"
	GuardSkipped            Code = "guard-skipped"
	GuardBypassed           Code = "guard-bypassed"
	GuardedNonNull          Code = "guarded-non-null"
	GuardContradictory      Code = "guard-contradictory"
	GuardRepeated           Code = "guard-repeated"
	GuardInQueries          Code = "guard-in-queries"
	PossibleGuard           Code = "possible-guard"
	Undeclared              Code = "undeclared"
)

// A Kind says how much the findings of a code matter, and what mends them.
type Kind struct {
	Code  Code
	Level Level
	Fix   string
}

// Kinds has one entry for each code.
var Kinds = []Kind{
	{UnguardedRootField, Error, "put a guard on the field, or mark it @public if any caller may have it (--public NAME: your own word for that; --guard NAME: your own guard)"},
	{UnguardedField, Error, "put a guard on the field, or mark it @public if every caller who reaches the object may have it"},
	{UnguardedEntity, Error, "put guards on the fields, check the caller in the entity's resolver, or let only the router reach this server"},
	{UnguardedImplementation, Error, "repeat the interface's guard on the field of the object"},
	{GuardNotRun, Error, "move the guard to the fields that it is meant to protect"},
	{GuardSkipped, Error, "remove skip_runtime and implement the directive; under federation, add a guard of your own, or let only the router reach this server"},
	{GuardBypassed, Error, "put the guard on the fields of the type, or also on the fields that return it in another way"},
	{GuardedNonNull, Warning, `make the field nullable, so that a refusal does not remove the rest of the response: write its type without "!"`},
	{GuardContradictory, Warning, "keep one of the two"},
	{GuardRepeated, Warning, "remove one of the two"},
	{GuardInQueries, Hint, "remove FIELD, QUERY, MUTATION, SUBSCRIPTION, FRAGMENT… from the locations of the directive, unless clients are meant to write it in queries"},
	{PossibleGuard, Hint, "if it decides whether a caller may have a field, pass --guard with its name; if it says that any caller may, --public"},
	{Undeclared, Hint, "declare it, unless a plugin of gqlgen adds the declaration, which lint cannot see"},
}

// Options say what counts as a guard, and what is reported.
type Options struct {
	Guards     []string // directives of the project beside DefaultGuards, without "@"
	Public     []string // directives that say that a field has no guard on purpose, beside "public"
	EveryField bool     // report every field of every object without a guard, not only root fields
	Ignore     []Code   // what is not reported
}

// DefaultGuards are the guards of Latchkey and of Apollo Federation.
var DefaultGuards = []string{"authenticated", "requiresScopes", "policy"}

// defaultPublic is Latchkey's directive for fields that any caller may have.
const defaultPublic = "public"

// An UnknownNameError says that an option names what does not exist.
type UnknownNameError struct{ Message string }

func (e *UnknownNameError) Error() string { return e.Message }

// levels are in the order in which findings are reported: what is open first.
var levels = []Level{Error, Warning, Hint}

// Lint returns the findings, in the order of levels, files, lines and columns.
func (p *Project) Lint(o Options) ([]Finding, error) {
	l := &linter{Project: p, every: o.EveryField, guards: map[string]bool{}, public: map[string]bool{defaultPublic: true}}
	for _, name := range DefaultGuards {
		l.guards[name] = true
	}
	for _, name := range append(slices.Clone(o.Guards), o.Public...) {
		if err := p.known(name); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Guards {
		l.guards[bare(name)] = true
	}
	for _, name := range o.Public {
		l.public[bare(name)] = true
		delete(l.guards, bare(name))
	}
	for _, code := range o.Ignore {
		if !slices.ContainsFunc(Kinds, func(k Kind) bool { return k.Code == code }) {
			return nil, &UnknownNameError{fmt.Sprintf("there is no finding %q", code)}
		}
	}
	l.run()
	found := slices.DeleteFunc(l.found, func(f Finding) bool { return slices.Contains(o.Ignore, f.Code) })
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)),
			strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.Subject, b.Subject), strings.Compare(a.Message, b.Message))
	})
	return found, nil
}

func bare(name string) string { return strings.TrimPrefix(name, "@") }

// known refuses a directive that the schema does not have.
func (p *Project) known(name string) error {
	name = bare(name)
	if p.schema.Directives[name] != nil {
		return nil
	}
	var names []string
	for n, d := range p.schema.Directives {
		if !d.Position.Src.BuiltIn {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	message := fmt.Sprintf("the schema has no directive @%s", name)
	if similar := core.SuggestionList(name, names); len(similar) > 0 {
		message += fmt.Sprintf("; did you mean @%s?", similar[0])
	}
	return &UnknownNameError{message}
}

// report adds a finding.
func (l *linter) report(code Code, at *ast.Position, subject, format string, args ...any) {
	f := Finding{Code: code, Subject: subject, Message: fmt.Sprintf(format, args...)}
	if at != nil {
		f.File, f.Line, f.Column = at.Src.Name, at.Line, at.Column
	}
	for _, k := range Kinds {
		if k.Code == code {
			f.Level, f.Fix = k.Level, k.Fix
		}
	}
	l.found = append(l.found, f)
}
