package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

type linter struct {
	*Project
	guards, public map[string]bool
	every          bool
	found          []Finding
}

func (l *linter) run() {
	for _, def := range l.types() {
		l.lintType(def)
		for _, field := range def.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			switch def.Kind {
			case ast.Object:
				l.lintField(def, field)
			case ast.Interface:
				l.lintInterfaceField(def, field)
			}
			l.lintSkipped(def.Name+"."+field.Name, field.Directives)
			for _, a := range field.Arguments {
				l.lintSkipped(fmt.Sprintf("%s.%s(%s:)", def.Name, field.Name, a.Name), a.Directives)
			}
		}
		for _, value := range def.EnumValues {
			for _, d := range l.guardsOf(value.Directives) {
				l.report(GuardNotRun, d.Position, def.Name+"."+value.Name, "@%s on the enum value %s.%s does not run: gqlgen runs no directives of enum values", d.Name, def.Name, value.Name)
			}
		}
	}
	for _, d := range l.guardsOf(l.schema.SchemaDirectives) {
		l.report(GuardNotRun, d.Position, "schema", "@%s on the schema does not run: gqlgen runs no directives of the schema", d.Name)
	}
	l.lintDeclarations()
}

// types are the project's types in the order of their names.
func (l *linter) types() []*ast.Definition {
	var own []*ast.Definition
	for _, def := range l.schema.Types {
		if !def.BuiltIn && def.Position != nil && !def.Position.Src.BuiltIn {
			own = append(own, def)
		}
	}
	slices.SortFunc(own, func(a, b *ast.Definition) int { return strings.Compare(a.Name, b.Name) })
	return own
}

func (l *linter) isRoot(def *ast.Definition) bool {
	return def == l.schema.Query || def == l.schema.Mutation || def == l.schema.Subscription
}

func (l *linter) guardsOf(list ast.DirectiveList) (guards ast.DirectiveList) {
	for _, d := range list {
		if l.guards[d.Name] {
			guards = append(guards, d)
		}
	}
	return guards
}

func (l *linter) lintField(def *ast.Definition, field *ast.FieldDefinition) {
	name, root := def.Name+"."+field.Name, l.isRoot(def)
	a := l.accessTo(field)
	if len(a.guards)+len(a.public)+len(a.skipped) == 0 && (root || l.every) {
		code, why := UnguardedField, ""
		if root {
			code = UnguardedRootField
		}
		var arguments []string
		for _, argument := range field.Arguments {
			if guards := l.guardsOf(argument.Directives); len(guards) > 0 {
				arguments = append(arguments, fmt.Sprintf("%s on its argument %s runs only where a client passes that", names(guards), argument.Name))
			}
		}
		switch {
		case len(arguments) > 0:
			why = ": " + joinAnd(arguments)
		case len(a.possible) > 0:
			why = fmt.Sprintf(" that is known: if %s is one, pass --guard %s", names(a.possible), a.possible[0].Name)
		}
		l.report(code, field.Position, name, "%s has no guard%s", name, why)
	}
	if root && field.Type.NonNull && len(a.guards) > 0 {
		l.report(GuardedNonNull, field.Position, name, "%s has the guard %s and the type %s: a refusal makes the whole response null", name, names(a.guards), field.Type)
	}
	if len(a.public) > 0 && len(a.guards)+len(a.skipped) > 0 {
		from := ""
		if len(a.fromType) == len(a.guards) && len(a.skipped) == 0 {
			from = ", from the type " + field.Type.Name()
		}
		l.report(GuardContradictory, a.public[0].Position, name, "%s has both %s and %s%s", name, names(a.public), names(append(slices.Clone(a.guards), a.skipped...)), from)
	}
	l.lintRepeated(name, field.Directives)
}

// lintRepeated reports a guard that stands twice in one place with the same arguments.
func (l *linter) lintRepeated(subject string, list ast.DirectiveList) {
	var seen []string
	for _, d := range l.guardsOf(list) {
		if text := written(d); slices.Contains(seen, text) {
			l.report(GuardRepeated, d.Position, subject, "%s has @%s twice with the same arguments", subject, d.Name)
		} else {
			seen = append(seen, text)
		}
	}
}

// lintSkipped reports guards that gqlgen does not run anywhere.
func (l *linter) lintSkipped(subject string, list ast.DirectiveList) {
	for _, d := range l.guardsOf(list) {
		if why := l.skipped[d.Name]; why != "" {
			l.report(GuardSkipped, d.Position, subject, "@%s on %s does not run: %s", d.Name, subject, why)
		}
	}
}

// lintInterfaceField reports objects whose field lacks the guard that the interface's field has.
func (l *linter) lintInterfaceField(def *ast.Definition, field *ast.FieldDefinition) {
	var guards ast.DirectiveList
	for _, d := range l.guardsOf(field.Directives) {
		if l.skipped[d.Name] == "" {
			guards = append(guards, d)
		}
	}
	if len(guards) == 0 {
		return
	}
	for _, object := range l.schema.PossibleTypes[def.Name] {
		own := object.Fields.ForName(field.Name)
		if object.Kind != ast.Object || own == nil {
			continue
		}
		if a := l.accessTo(own); len(a.guards)+len(a.skipped) == 0 {
			name := object.Name + "." + field.Name
			l.report(UnguardedImplementation, own.Position, name, "%s has no guard, and %s on %s.%s does not run for it: gqlgen runs directives of the object's field, not of the interface's", name, names(guards), def.Name, field.Name)
		}
	}
}

func (l *linter) lintType(def *ast.Definition) {
	l.lintSkipped(def.Name, def.Directives)
	l.lintRepeated(def.Name, def.Directives)
	guarded := false
	for _, d := range l.guardsOf(def.Directives) {
		if l.skipped[d.Name] != "" {
			continue
		}
		guarded = true
		l.lintTypeGuard(def, d)
	}
	if open := l.openInEntity(def); len(open) > 0 && !guarded {
		l.report(UnguardedEntity, def.Position, def.Name, "%s is an entity: Query._entities returns it without running a guard, and %s of it %s none: %s", def.Name, count(len(open), "field"), hasOrHave(len(open)), abridged(open))
	}
}

// lintTypeGuard reports where the guard of a type does not run.
func (l *linter) lintTypeGuard(def *ast.Definition, d *ast.Directive) {
	const where = "gqlgen runs a type's guard only where a field returns that type"
	kind := strings.ToLower(strings.ReplaceAll(string(def.Kind), "_", " "))
	switch {
	case def.Kind == ast.InputObject:
		return // runs when the input is read
	case l.isRoot(def):
		l.report(GuardNotRun, d.Position, def.Name, "@%s on the root type %s does not run for its fields: %s", d.Name, def.Name, where)
		return
	case l.declaredOn(d.Name, ast.LocationInputObject):
		l.report(GuardNotRun, d.Position, def.Name, "@%s on the %s %s does not run: gqlgen ignores a type's guard that is declared on INPUT_OBJECT too", d.Name, kind, def.Name)
		return
	case !l.runsFromType(d.Name):
		l.report(GuardNotRun, d.Position, def.Name, "@%s on the %s %s does not run: gqlgen runs only directives that are declared on FIELD_DEFINITION or OBJECT too", d.Name, kind, def.Name)
		return
	}
	switch def.Kind {
	case ast.Object:
		if open := l.fieldsWithout(def, d.Name); len(open) == 0 {
			return // the fields have the guard themselves
		}
		var ways []string
		for _, abstract := range l.schema.Implements[def.Name] {
			if abstract != nil {
				ways = append(ways, l.waysAround(abstract, d.Name)...)
			}
		}
		if open := l.openInEntity(def); len(open) > 0 {
			ways = append(ways, "Query._entities returns it, with "+abridged(open))
		}
		l.reportWays(def, d, ways)
	case ast.Interface:
		var ways []string
		for _, object := range l.schema.PossibleTypes[def.Name] {
			if object.Kind == ast.Object && len(l.fieldsWithout(object, d.Name)) > 0 {
				ways = append(ways, l.waysAround(object, d.Name)...)
			}
		}
		l.reportWays(def, d, ways)
	}
}

func (l *linter) reportWays(def *ast.Definition, d *ast.Directive, ways []string) {
	if len(ways) == 0 {
		return
	}
	slices.Sort(ways)
	ways = slices.Compact(ways)
	more := ""
	if len(ways) > 3 {
		more = fmt.Sprintf("; and %d more", len(ways)-3)
	}
	l.report(GuardBypassed, d.Position, def.Name, "@%s on %s does not run where %s%s", d.Name, def.Name, strings.Join(ways[:min(3, len(ways))], "; where "), more)
}

// waysAround are the fields that return a type and do not have a guard, on the field or on the type.
func (l *linter) waysAround(returned *ast.Definition, guard string) (ways []string) {
	for _, def := range l.types() {
		for _, field := range def.Fields {
			if def.Kind == ast.Object && field.Type.Name() == returned.Name && !l.accessTo(field).has(guard) {
				ways = append(ways, fmt.Sprintf("%s.%s returns it as %s", def.Name, field.Name, returned.Name))
			}
		}
	}
	return ways
}

// fieldsWithout are an object's fields without a guard.
func (l *linter) fieldsWithout(def *ast.Definition, guard string) (open []string) {
	for _, field := range def.Fields {
		if !l.accessTo(field).has(guard) {
			open = append(open, field.Name)
		}
	}
	return open
}

// openInEntity are the fields without any guard that _entities returns, the keys excepted, which the caller passes.
func (l *linter) openInEntity(def *ast.Definition) (open []string) {
	if l.federation == 0 || def.Kind != ast.Object || !isEntity(def) {
		return nil
	}
	for _, field := range def.Fields {
		a := l.accessTo(field)
		if len(a.guards)+len(a.public)+len(a.skipped) == 0 && field.Directives.ForName("external") == nil && !isKey(def, field) {
			open = append(open, field.Name)
		}
	}
	return open
}

// lintDeclarations reports what is wrong or unclear with the directives themselves.
func (l *linter) lintDeclarations() {
	for _, u := range l.undeclared {
		l.report(Undeclared, u.at, u.name, "%s is used, and none of the files declares it", u.name)
	}
	for _, def := range l.schema.Directives {
		if def.Position == nil || def.Position.Src.BuiltIn {
			continue
		}
		name := def.Name
		var client []string
		schema := 0
		for _, at := range def.Locations {
			switch at {
			case ast.LocationQuery, ast.LocationMutation, ast.LocationSubscription, ast.LocationField,
				ast.LocationFragmentDefinition, ast.LocationFragmentSpread, ast.LocationInlineFragment, ast.LocationVariableDefinition:
				client = append(client, string(at))
			default:
				schema++
			}
		}
		switch {
		case !l.guards[name] && !l.public[name]:
			l.lintPossible(def)
		case l.guards[name] && len(client) > 0 && schema == 0:
			l.report(GuardNotRun, def.Position, "@"+name, "@%s is declared on %s only: it runs where a client writes it, and nowhere else", name, joinAnd(client))
		case l.guards[name] && len(client) > 0:
			l.report(GuardInQueries, def.Position, "@"+name, "@%s is declared on %s, so clients can write it in queries, with arguments of their choice", name, joinAnd(client))
		}
	}
}

// lintPossible asks about a directive that may be a guard.
func (l *linter) lintPossible(def *ast.DirectiveDefinition) {
	if !l.mayGuard(def.Name) {
		return
	}
	roots, others := 0, 0
	for _, t := range l.types() {
		others += len(t.Directives.ForNames(def.Name))
		for _, field := range t.Fields {
			n := len(field.Directives.ForNames(def.Name))
			if l.isRoot(t) {
				roots += n
			} else {
				others += n
			}
		}
	}
	if roots+others == 0 {
		return
	}
	skipped := ""
	if why := l.skipped[def.Name]; why != "" {
		skipped = ", and does not run: " + why
	}
	l.report(PossibleGuard, def.Position, "@"+def.Name, "@%s may be a guard: it stands on %s and in %s%s", def.Name, count(roots, "root field"), count(others, "other place"), skipped)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func hasOrHave(n int) string { return cmp.Or(map[int]string{1: "has"}[n], "have") }

// abridged lists at most five names.
func abridged(all []string) string {
	if len(all) <= 5 {
		return joinAnd(all)
	}
	return strings.Join(all[:5], ", ") + fmt.Sprintf(" and %d more", len(all)-5)
}
