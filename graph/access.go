package graph

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph/generated"
)

// The rule of the house: every field of Query, Mutation and Subscription, and of every type marked
// @sensitive, carries exactly one access directive. They stand on fields, never on types: gqlgen runs a
// type's directive only where a field returns that very type, not through an interface or a union.

var accessDirectives = []string{"public", "authenticated", "requiresScopes"}

// A Requirement is what one guarded field needs.
type Requirement struct {
	Field string // Type.field
	Needs string // "anyone", "any viewer who is logged in", "the scope a and b, or c", "@hasRole(role: admin)" of AuditConfig.Guards, or Unguarded
}

// Unguarded is what a field needs that has no access directive, where AuditConfig.Report lets it.
const Unguarded = "nothing: it has no access directive"

// Sources are the files that an executable schema was generated from, named from the project's root.
func Sources(es graphql.ExecutableSchema) []*ast.Source {
	var files []*ast.Source
	add := func(at *ast.Position) {
		if at != nil && !at.Src.BuiltIn && !slices.ContainsFunc(files, func(f *ast.Source) bool { return f.Input == at.Src.Input }) {
			files = append(files, &ast.Source{Name: fileName(at.Src), Input: at.Src.Input})
		}
	}
	for _, def := range ownTypes(es.Schema()) {
		add(def.Position)
		for _, field := range def.Fields { // a file may only extend types
			add(field.Position)
		}
	}
	return files
}

// fileName is a source's name from the project's root; gqlgen names sources from the folder of the generated code.
func fileName(src *ast.Source) string {
	name := path.Clean(src.Name)
	for strings.HasPrefix(name, "../") {
		name = name[len("../"):]
	}
	return name
}

// ParseSchema reads schema files. What is wrong with them begins a line, as "FILE:LINE:COLUMN: …".
func ParseSchema(files ...*ast.Source) (*ast.Schema, error) {
	schema, err := gqlparser.LoadSchema(files...)
	if err != nil {
		return nil, fmt.Errorf("the schema is not valid:\n%w", err)
	}
	if err := auditCosts(schema); err != nil {
		return nil, err
	}
	return schema, nil
}

// An AuditConfig says what Audit expects of a schema.
type AuditConfig struct {
	Rights     *auth.Rights // the scopes and roles that exist; auth.DefaultRights if nil
	EveryField bool         // every field of every type needs an access directive, Latchkey's own types excepted
	Guards     []string     // directives of the program's own that guard a field as access directives do, such as "hasRole"
	Report     bool         // a field without an access directive is no fault, but listed as Unguarded; not of @sensitive types
}

// Audit lists what each guarded field requires, and each fault against the rule as "FILE:LINE:COLUMN: …".
func Audit(schema *ast.Schema, c AuditConfig) (requirements []Requirement, faults error) {
	if c.Rights == nil {
		c.Rights = auth.DefaultRights
	}
	found := []error{c.auditRoles(schema)}
	for _, guard := range c.Guards {
		if schema.Directives[guard] == nil {
			found = append(found, fmt.Errorf("the schema has no directive @%s, which guards fields", guard))
		}
	}
	for _, def := range ownTypes(schema) {
		if def.Kind != ast.Object && def.Kind != ast.Interface {
			continue
		}
		if d := accessOf(def.Directives); len(d) > 0 {
			found = append(found, fault(def.Position, "%s carries @%s: access directives stand on fields", def.Name, d[0].Name))
		}
		for _, field := range def.Fields {
			needs, err := c.auditField(schema, def, field)
			if err != nil {
				found = append(found, err)
			} else if needs != "" {
				requirements = append(requirements, Requirement{def.Name + "." + field.Name, needs})
			}
		}
	}
	return requirements, errors.Join(found...)
}

// auditRoles compares the enum of the schema with the roles that exist.
func (c AuditConfig) auditRoles(schema *ast.Schema) error {
	enum := roleEnum(schema)
	if enum == nil {
		return nil
	}
	var found []error
	for _, value := range enum.EnumValues {
		if !c.Rights.KnownRole(db.Role(value.Name)) {
			found = append(found, fault(value.Position, "%s.%s is not among the program's roles: %v", enum.Name, value.Name, c.Rights.Roles()))
		}
	}
	for _, role := range c.Rights.Roles() {
		if enum.EnumValues.ForName(string(role)) == nil {
			found = append(found, fault(enum.Position, "%s lacks the role %s: write extend enum %s { %s }", enum.Name, role, enum.Name, role))
		}
	}
	return errors.Join(found...)
}

// roleEnum is the type of the field roles of the user who logs in, or nil. It may have another name than Role.
func roleEnum(schema *ast.Schema) *ast.Definition {
	for _, def := range ownTypes(schema) {
		for _, field := range def.Fields {
			if user := schema.Types[field.Type.Name()]; user != nil && field.Directives.ForName("asNewViewer") != nil {
				if roles := user.Fields.ForName("roles"); roles != nil && schema.Types[roles.Type.Name()].Kind == ast.Enum {
					return schema.Types[roles.Type.Name()]
				}
			}
		}
	}
	return nil
}

// ownTypes are the types that are not GraphQL's own, as they stand in the source.
func ownTypes(schema *ast.Schema) []*ast.Definition {
	var own []*ast.Definition
	for _, def := range schema.Types {
		if !def.BuiltIn && def.Position != nil {
			own = append(own, def)
		}
	}
	slices.SortFunc(own, func(a, b *ast.Definition) int {
		return cmp.Or(strings.Compare(a.Position.Src.Name, b.Position.Src.Name), cmp.Compare(a.Position.Start, b.Position.Start))
	})
	return own
}

func (c AuditConfig) auditField(schema *ast.Schema, def *ast.Definition, field *ast.FieldDefinition) (needs string, err error) {
	if strings.HasPrefix(field.Name, "__") { // introspection: see Options.Introspection
		return "", nil
	}
	root := def == schema.Query || def == schema.Mutation || def == schema.Subscription
	closed := root || def.Directives.ForName("sensitive") != nil || c.EveryField && !isOurs(schema, def)
	access := accessOf(field.Directives)
	name := def.Name + "." + field.Name
	own := c.guardsOf(field.Directives)
	adds, err := auditStepUp(field.Directives, access, own)
	if err != nil {
		return "", fault(field.Position, "%s: %w", name, err)
	}
	switch {
	case len(access) == 0 && own != "":
		return own + adds, nil
	case len(access) == 0 && closed && c.Report && def.Directives.ForName("sensitive") == nil:
		return Unguarded, nil
	case len(access) > 1 || closed && len(access) == 0:
		return "", fault(field.Position, "%s has %d access directives; it needs exactly one of @public, @authenticated, @requiresScopes", name, len(access))
	case len(access) == 0:
		return "", nil
	case field.Name == "_entities": // non-null by the specification of federation; a gateway asks for nothing beside it
	case root && field.Type.NonNull && access[0].Name != "public":
		return "", fault(field.Position, "%s is guarded and must be nullable: write %s without \"!\", so that a refusal does not blank the other fields", name, field.Type.Name())
	}
	switch access[0].Name {
	case "public":
		return "anyone", nil
	case "authenticated":
		return "any viewer who is logged in" + adds, nil
	}
	ways, err := c.requiredScopes(access[0])
	if err != nil {
		return "", fault(field.Position, "%s: %w", name, err)
	}
	return "the scope " + auth.DescribeScopes(ways) + adds, nil
}

// isOurs reports whether a type is of Latchkey's own schema file, which declares the directives.
func isOurs(schema *ast.Schema, def *ast.Definition) bool {
	d := schema.Directives["public"]
	return d != nil && d.Position != nil && def.Position.Src == d.Position.Src
}

func accessOf(all ast.DirectiveList) (access []*ast.Directive) {
	for _, d := range all {
		if slices.Contains(accessDirectives, d.Name) {
			access = append(access, d)
		}
	}
	return access
}

// guardsOf writes the program's own guards of a field as they stand in the schema; "" if there are none.
func (c AuditConfig) guardsOf(all ast.DirectiveList) string {
	var guards []string
	for _, d := range all {
		if !slices.Contains(c.Guards, d.Name) {
			continue
		}
		var arguments []string
		for _, a := range d.Arguments {
			arguments = append(arguments, a.Name+": "+a.Value.String())
		}
		guard := "@" + d.Name
		if len(arguments) > 0 {
			guard += "(" + strings.Join(arguments, ", ") + ")"
		}
		guards = append(guards, guard)
	}
	return strings.Join(guards, " and ")
}

// scopesOf reads @requiresScopes(scopes: [["a", "b"], ["c"]]).
func scopesOf(d *ast.Directive) (alternatives [][]string) {
	for _, all := range d.Arguments.ForName("scopes").Value.Children {
		var scopes []string
		for _, scope := range all.Value.Children {
			scopes = append(scopes, scope.Value.Raw)
		}
		alternatives = append(alternatives, scopes)
	}
	return alternatives
}

// requiredScopes returns the alternatives of @requiresScopes. It returns an error for those that every viewer or none has.
func (c AuditConfig) requiredScopes(d *ast.Directive) ([][]string, error) {
	alternatives := scopesOf(d)
	if len(alternatives) == 0 {
		return nil, errors.New("@requiresScopes names no scope, so nobody may ever read it")
	}
	for _, all := range alternatives {
		if len(all) == 0 {
			return nil, errors.New("an empty list of scopes lets everybody in: write @authenticated")
		}
		for _, scope := range all {
			if !c.Rights.KnownScope(scope) {
				return nil, fmt.Errorf("there is no scope %q among the program's scopes", scope)
			}
		}
	}
	return alternatives, nil
}

func fault(at *ast.Position, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %w", fileName(at.Src), at.Line, at.Column, fmt.Errorf(format, args...))
}

// describing is held while the description of a schema changes: handlers of one process share it.
var describing sync.Mutex

// describe appends to each guarded field's description what it requires, where every client's tooling shows it, and
// hides the directives that are about Go or for gateways. Once for each schema.
func describe(schema *ast.Schema, requirements []Requirement) {
	describing.Lock()
	defer describing.Unlock()
	for _, r := range requirements {
		if r.Needs == Unguarded {
			continue
		}
		typeName, fieldName, _ := strings.Cut(r.Field, ".")
		field := schema.Types[typeName].Fields.ForName(fieldName)
		if !strings.Contains(field.Description, accessNote) {
			field.Description = strings.TrimSpace(field.Description) + accessNote + r.Needs + "."
		}
	}
	for _, name := range []string{"goField", "sensitive", "credentials", "asNewViewer", "defer", "link", "key", "shareable"} {
		if _, there := schema.Directives[name]; there { //nolint:staticcheck // another handler may be reading the map: no write without need
			delete(schema.Directives, name)
		}
	}
}

const accessNote = "\n\n**Access:** "

// prepare audits the schema and completes its descriptions. It fails if a field is left unguarded, and logs it where
// AuditConfig.Report is set.
func prepare(schema *ast.Schema, c AuditConfig, log *slog.Logger) error {
	if err := auditCosts(schema); err != nil {
		return err
	}
	requirements, err := Audit(schema, c)
	if err != nil {
		return fmt.Errorf("the schema leaves fields unguarded:\n%w", err)
	}
	for _, r := range requirements {
		if r.Needs == Unguarded {
			log.Warn("a field is open to anyone: it has no access directive", "field", r.Field)
		}
	}
	describe(schema, requirements)
	return nil
}

// NewExecutableSchema joins Latchkey's own schema, its resolvers and its directives.
func NewExecutableSchema(r *Resolver) graphql.ExecutableSchema {
	return generated.NewExecutableSchema(generated.Config{Resolvers: r, Directives: Directives(r.Auth)})
}
