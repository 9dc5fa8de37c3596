package include

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/codegen/config"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/latchkey/latchkey/graph"
)

// sourceName is the name of Latchkey's schema among the sources of a project; the files that gqlgen writes for it begin
// with it.
const sourceName = "latchkey.graphqls"

// ours reads Latchkey's schema, as this module was built with it.
func ours() (*ast.SchemaDocument, error) {
	sources := graph.Sources(graph.NewExecutableSchema(&graph.Resolver{}))
	document, err := parser.ParseSchemas(sources...)
	if err != nil {
		return nil, fmt.Errorf("latchkey's schema: %w", err)
	}
	return document, nil
}

// document reads Latchkey's schema, with the part for gateways if the project wants it.
func (o *Options) document() (*ast.SchemaDocument, error) {
	document, err := ours()
	if err == nil && !o.Subgraph {
		withoutSubgraph(document)
	}
	return document, err
}

// InjectSourcesEarly implements gqlgen's plugin.EarlySourcesInjector: Latchkey's schema, with the project's names.
func (p *includer) InjectSourcesEarly() ([]*ast.Source, error) {
	document, err := p.options.document()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(p.options.check(document), p.checkSubgraph()); err != nil {
		return nil, err
	}
	theirs, err := parser.ParseSchemas(p.config.Sources...)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the project's file and line
	}
	p.drop(document, theirs)
	p.rename(document)
	joinEntities(document, theirs)
	if err := conflicts(document, theirs); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	formatter.NewFormatter(&text, formatter.WithIndent("  ")).FormatSchemaDocument(document)
	return []*ast.Source{{Name: sourceName, Input: text.String()}}, nil
}

// check refuses names that Latchkey's schema does not have: after an upgrade they would be without effect.
func (o *Options) check(document *ast.SchemaDocument) error {
	for name := range o.Rename {
		if document.Definitions.ForName(name) == nil || isRoot(name) {
			return fmt.Errorf("rename: Latchkey's schema has no type %s", name)
		}
	}
	for _, name := range o.Merge {
		if document.Definitions.ForName(name) == nil {
			return fmt.Errorf("merge: Latchkey's schema has no type %s", name)
		}
	}
	for _, name := range o.Omit {
		typeName, field, _ := strings.Cut(name, ".")
		if def := document.Definitions.ForName(typeName); def == nil || !isRoot(typeName) || def.Fields.ForName(field) == nil {
			return fmt.Errorf("omit: Latchkey's schema has no root field %s", name)
		}
	}
	return nil
}

// conflicts lists what the project's schema still declares as Latchkey's does.
func conflicts(document, theirs *ast.SchemaDocument) error {
	var types, fields, directives []string
	for _, def := range slices.Concat(document.Definitions, document.Extensions) {
		if !isRoot(def.Name) {
			if theirs.Definitions.ForName(def.Name) != nil {
				types = append(types, def.Name)
			}
			continue
		}
		for _, other := range slices.Concat(theirs.Definitions, theirs.Extensions) {
			for _, f := range def.Fields {
				if other.Name == def.Name && other.Fields.ForName(f.Name) != nil {
					fields = append(fields, def.Name+"."+f.Name)
				}
			}
		}
	}
	for _, d := range document.Directives {
		if theirs.Directives.ForName(d.Name) != nil {
			directives = append(directives, "@"+d.Name)
		}
	}
	both := func(names []string, advice string) error {
		if len(names) == 0 {
			return nil
		}
		slices.Sort(names)
		return fmt.Errorf("both schemas declare %s: %s", strings.Join(names, ", "), advice)
	}
	return errors.Join(
		both(types, "rename Latchkey's (Rename), or merge them if their fields are the same (Merge)"),
		both(fields, "leave Latchkey's out (Omit), or remove the project's"),
		both(directives, "rename the project's"),
	)
}

func isRoot(name string) bool {
	return slices.Contains([]string{"Query", "Mutation", "Subscription"}, name)
}

// drop removes what the project's schema declares itself: the root types, which Latchkey's then extends; scalars; the
// directives about Go, cost and gateways; and what Options say.
func (p *includer) drop(document, theirs *ast.SchemaDocument) {
	document.Directives = slices.DeleteFunc(document.Directives, func(d *ast.DirectiveDefinition) bool {
		return theirs.Directives.ForName(d.Name) != nil && slices.Contains(slices.Concat(subgraphDirectives, []string{"goField", "cost", "listSize"}), d.Name)
	})
	document.Definitions = slices.DeleteFunc(document.Definitions, func(def *ast.Definition) bool {
		declared := theirs.Definitions.ForName(def.Name) != nil
		switch {
		case isRoot(def.Name):
			def.Fields = slices.DeleteFunc(def.Fields, func(f *ast.FieldDefinition) bool {
				return slices.Contains(p.options.Omit, def.Name+"."+f.Name)
			})
			if declared {
				def.Description = "" // an extension has none
				document.Extensions = append(document.Extensions, def)
			}
			return declared
		case def.Kind == ast.Scalar:
			return declared
		}
		return declared && slices.Contains(p.options.Merge, def.Name)
	})
}

// rename gives Latchkey's types the names of Options.Rename, wherever they are named.
func (p *includer) rename(document *ast.SchemaDocument) {
	name := func(at *string) {
		if other, ok := p.options.Rename[*at]; ok {
			*at = other
		}
	}
	var inType func(*ast.Type)
	inType = func(t *ast.Type) {
		if t.Elem != nil {
			inType(t.Elem)
			return
		}
		name(&t.NamedType)
	}
	for _, def := range slices.Concat(document.Definitions, document.Extensions) {
		name(&def.Name)
		for i := range def.Interfaces {
			name(&def.Interfaces[i])
		}
		for i := range def.Types {
			name(&def.Types[i])
		}
		for _, field := range def.Fields {
			inType(field.Type)
			for _, argument := range field.Arguments {
				inType(argument.Type)
			}
		}
	}
	for _, d := range document.Directives {
		for _, argument := range d.Arguments {
			inType(argument.Type)
		}
	}
}

// original is the name that a type has in Latchkey's schema.
func (p *includer) original(name string) string {
	for ours, theirs := range p.options.Rename {
		if theirs == name {
			return ours
		}
	}
	return name
}

const module = "github.com/latchkey/latchkey/"

// models are the Go types of Latchkey's schema; types that are not listed are of package graph/model. The same stands in
// Latchkey's gqlgen.yml, which a test compares.
var models = map[string]string{
	"ApiToken":                   "db.APIToken",
	"ApiTokenConnection":         "graph/relay.APITokenConnection",
	"ApiTokenEdge":               "graph/relay.APITokenEdge",
	"AuditFilter":                "db.EventFilter",
	"ChangePasswordInput":        "auth.ChangePasswordInput",
	"CompleteLoginInput":         "auth.CompleteLoginInput",
	"CompleteProviderLoginInput": "auth.CompleteProviderLoginInput",
	"CompleteRegistrationInput":  "auth.CompleteRegistrationInput",
	"ConfirmPasskeyInput":        "auth.ConfirmPasskeyInput",
	"ConfirmPasskeyPayload":      "auth.ConfirmPasskeyPayload",
	"ConfirmTotpInput":           "auth.ConfirmTotpInput",
	"ConfirmTotpPayload":         "auth.ConfirmTotpPayload",
	"CreateApiTokenInput":        "auth.CreateAPITokenInput",
	"CreateApiTokenPayload":      "auth.CreateAPITokenPayload",
	"CreateUserInput":            "auth.CreateUserInput",
	"EmailLoginInput":            "auth.EmailLoginInput",
	"Factor":                     "db.Factor",
	"FactorKind":                 "db.FactorKind",
	"Identity":                   "db.Identity",
	"Invitation":                 "db.Link",
	"InvitationConnection":       "graph/relay.InvitationConnection",
	"InvitationEdge":             "graph/relay.InvitationEdge",
	"InviteUserInput":            "auth.InviteUserInput",
	"JSONObject":                 "github.com/99designs/gqlgen/graphql.Map",
	"LoginInput":                 "auth.LoginInput",
	"LoginPayload":               "auth.LoginPayload",
	"LoginProvider":              "auth.LoginProvider",
	"NewRecoveryCodesPayload":    "auth.NewRecoveryCodesPayload",
	"Node":                       "graph/relay.Node",
	"PageInfo":                   "graph/relay.PageInfo",
	"PasskeyLoginInput":          "auth.PasskeyLoginInput",
	"ReauthenticateInput":        "auth.ReauthenticateInput",
	"RefreshInput":               "auth.RefreshInput",
	"RegisterInput":              "auth.RegisterInput",
	"ResetPasswordInput":         "auth.ResetPasswordInput",
	"ResetPasswordPayload":       "auth.ResetPasswordPayload",
	"RevokeInvitationInput":      "auth.RevokeInvitationInput",
	"Role":                       "db.Role",
	"Scope":                      "graph/scalar.String",
	"SecurityEvent":              "db.Event",
	"SecurityEventConnection":    "graph/relay.EventConnection",
	"SecurityEventEdge":          "graph/relay.EventEdge",
	"SecurityEventKind":          "db.EventKind",
	"Session":                    "db.Session",
	"SessionConnection":          "graph/relay.SessionConnection",
	"SessionEdge":                "graph/relay.SessionEdge",
	"SessionSet":                 "auth.SessionSet",
	"SetUserPasswordInput":       "auth.SetUserPasswordInput",
	"StartPasskeyPayload":        "auth.StartPasskeyPayload",
	"StartProviderLoginInput":    "auth.StartProviderLoginInput",
	"StartProviderLoginPayload":  "auth.StartProviderLoginPayload",
	"StartTotpPayload":           "auth.StartTotpPayload",
	"Time":                       "graph/scalar.Time",
	"UndoEmailChangeInput":       "auth.UndoEmailChangeInput",
	"User":                       "db.User",
	"UserConnection":             "graph/relay.UserConnection",
	"UserEdge":                   "graph/relay.UserEdge",
	"VerifyEmailInput":           "auth.VerifyEmailInput",
	"_Any":                       "github.com/99designs/gqlgen/graphql.Map",
	"_Entity":                    "graph/relay.Node",
	"_Service":                   "github.com/99designs/gqlgen/plugin/federation/fedruntime.Service",
}

// modelOf is the Go type of a type in Latchkey's schema.
func modelOf(name string) string {
	model, ok := models[name]
	switch {
	case strings.HasPrefix(model, "github.com/"):
		return model
	case ok:
		return module + model
	}
	return module + "graph/model." + goName(name)
}

// configure binds Latchkey's types to their Go types, and names the directives that gqlgen does not run.
func (p *includer) configure() {
	if p.config.Models == nil {
		p.config.Models = config.TypeMap{}
	}
	if p.config.Directives == nil {
		p.config.Directives = map[string]config.DirectiveConfig{}
	}
	document, err := p.options.document()
	if err != nil {
		return // InjectSourcesEarly returns it
	}
	for _, def := range document.Definitions {
		name := def.Name
		if other, ok := p.options.Rename[name]; ok {
			name = other
		}
		switch {
		case isRoot(name) || name == "Scope" && p.config.Models.UserDefined(name):
		case name == "Time" && p.declares("Time"):
			if !p.config.Models.UserDefined(name) {
				p.config.Models.Add(name, "github.com/99designs/gqlgen/graphql.Time") // the project's Go type comes first
			}
			p.config.Models.Add(name, modelOf(def.Name))
		default:
			p.config.Models[name] = config.TypeMapEntry{Model: config.StringList{modelOf(def.Name)}, Fields: p.config.Models[name].Fields}
		}
	}
	for _, name := range []string{"String", "Int", "ID", "Boolean"} { // a project that binds them to other Go types needs Latchkey's beside
		if p.config.Models.UserDefined(name) && !slices.Contains(p.config.Models[name].Model, "github.com/99designs/gqlgen/graphql."+name) {
			p.config.Models.Add(name, "github.com/99designs/gqlgen/graphql."+name)
		}
	}
	if p.options.StrictScalars {
		for _, name := range []string{"String", "Int", "ID", "Boolean"} {
			if !p.config.Models.UserDefined(name) {
				p.config.Models.Add(name, module+"graph/scalar."+name)
			}
		}
	}
	notRun := []string{"sensitive", "credentials", "cost", "listSize"}
	if p.options.Subgraph {
		notRun = append(notRun, subgraphDirectives...)
	}
	for _, name := range notRun {
		p.config.Directives[name] = config.DirectiveConfig{SkipRuntime: true}
	}
	p.config.CallArgumentDirectivesWithNull = true
}

// declares reports whether the project's schema declares a type.
func (p *includer) declares(name string) bool {
	theirs, err := parser.ParseSchemas(p.config.Sources...)
	return err == nil && theirs.Definitions.ForName(name) != nil
}
