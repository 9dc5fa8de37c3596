package lint

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/internal/lazy"
)

// notGuards are directives that are known to be something else.
var notGuards = strings.Fields(`
	deprecated specifiedBy oneOf skip include defer stream semanticNonNull
	goModel goField goTag goExtraField goEnum inlineArguments subscriptionContext
	key external requires provides extends shareable link tag override inaccessible interfaceObject composeDirective
	context fromContext entityResolver computedRequires
	cost listSize complexity cacheControl cached cache rateLimit
	constraint validate validation binding length range pattern min max minLength maxLength trim lowercase uppercase
	format default mock example examples description beta experimental internal
	sensitive credentials asNewViewer
`)

// guardLike matches names that guards have.
var guardLike = lazy.Regexp(`(?i)auth|role|perm|scope|admin|access|guard|protect|private|owner|login|logged|secur|allow|session|user`)

// locations are where a directive is declared. Those that the federation plugin or an unknown plugin declares are taken
// for directives of output fields and types.
func locations(def *ast.DirectiveDefinition) []ast.DirectiveLocation {
	if def.Position == builtIn {
		return []ast.DirectiveLocation{ast.LocationFieldDefinition, ast.LocationObject, ast.LocationArgumentDefinition, ast.LocationInputFieldDefinition}
	}
	return def.Locations
}

func (l *linter) declaredOn(name string, any ...ast.DirectiveLocation) bool {
	def := l.schema.Directives[name]
	return def != nil && slices.ContainsFunc(locations(def), func(at ast.DirectiveLocation) bool { return slices.Contains(any, at) })
}

// runsFromType reports whether gqlgen runs a directive that stands on a type where an output field returns that very
// type. It copies the type's directives to the field, without those that are declared on INPUT_OBJECT too, and then runs
// those that are declared on FIELD_DEFINITION or OBJECT, wherever they stand.
func (l *linter) runsFromType(name string) bool {
	return l.skipped[name] == "" && !l.declaredOn(name, ast.LocationInputObject) && l.declaredOn(name, ast.LocationFieldDefinition, ast.LocationObject)
}

// An access is what stands before a field.
type access struct {
	guards, public, skipped ast.DirectiveList // guards that run, on the field or on its type; markers; guards that do not
	fromType                ast.DirectiveList // those of guards that stand on the field's type
	possible                ast.DirectiveList // directives that may be guards
}

func (a access) has(name string) bool { return a.guards.ForName(name) != nil }

// accessTo says what stands before an object's field.
func (l *linter) accessTo(field *ast.FieldDefinition) (a access) {
	if def := l.schema.Types[field.Type.Name()]; def != nil {
		for _, d := range def.Directives {
			if l.guards[d.Name] && l.runsFromType(d.Name) {
				a.guards, a.fromType = append(a.guards, d), append(a.fromType, d)
			}
		}
	}
	for _, d := range field.Directives {
		switch {
		case l.public[d.Name]:
			a.public = append(a.public, d)
		case l.guards[d.Name] && l.skipped[d.Name] != "":
			a.skipped = append(a.skipped, d)
		case l.guards[d.Name]:
			a.guards = append(a.guards, d)
		case l.mayGuard(d.Name):
			a.possible = append(a.possible, d)
		}
	}
	return a
}

// mayGuard reports whether a directive may be a guard: gqlgen runs it before fields, and it is not known to be something
// else.
func (l *linter) mayGuard(name string) bool {
	switch {
	case l.guards[name] || l.public[name] || slices.Contains(notGuards, name):
		return false
	case l.skipped[name] != "":
		return guardLike().MatchString(name) && l.declaredOn(name, ast.LocationFieldDefinition, ast.LocationObject)
	}
	return l.declaredOn(name, ast.LocationFieldDefinition, ast.LocationObject)
}

// names writes directives as "@a and @b".
func names(list ast.DirectiveList) string {
	var all []string
	for _, d := range list {
		if name := "@" + d.Name; !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return joinAnd(all)
}

func joinAnd(all []string) string {
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}

// written is a directive as its file has it, to compare two of them.
func written(d *ast.Directive) string {
	words := []string{d.Name}
	for _, a := range d.Arguments {
		words = append(words, a.Name+":"+a.Value.String())
	}
	return strings.Join(words, " ")
}
