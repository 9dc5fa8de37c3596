package graph

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// The audit protects nothing unless its faults stop the start. T80.
func TestASchemaWithAnUnguardedFieldDoesNotStart(t *testing.T) {
	own := Sources(ownExecutable)
	start := func(files ...*ast.Source) error {
		schema, err := ParseSchema(append(own, files...)...)
		if err != nil {
			return err
		}
		return prepare(schema, AuditConfig{}, nil)
	}
	if err := start(); err != nil {
		t.Fatal("the schema as it is:", err)
	}
	for name, extension := range map[string]string{
		"query":          "extend type Query { open: Int }",
		"mutation":       "extend type Mutation { open: Int }",
		"subscription":   "extend type Subscription { open: Int }",
		"sensitive type": "extend type User { open: Int }",
		"unknown role":   `extend enum Role { OWNER }`,
		"unknown scope":  `extend type Query { open: Int @requiresScopes(scopes: [["users:raed"]]) }`,
	} {
		t.Run(name, func(t *testing.T) {
			err := start(&ast.Source{Name: "more.graphqls", Input: extension})
			if err == nil || !strings.Contains(err.Error(), "more.graphqls:1:") {
				t.Errorf("got %v, want an error that names more.graphqls:1", err)
			}
		})
	}
}

// T80.
func TestReportModeLogsWhatItLeavesOpenAndForgivesNothingElse(t *testing.T) {
	start := func(extension string) (log string, err error) {
		schema, err := ParseSchema(append(Sources(ownExecutable), &ast.Source{Name: "more.graphqls", Input: extension})...)
		if err != nil {
			return "", err
		}
		var text strings.Builder
		err = prepare(schema, AuditConfig{Report: true}, slog.New(slog.NewTextHandler(&text, nil)))
		if field := schema.Query.Fields.ForName("open"); field != nil && strings.Contains(field.Description, "Access") {
			t.Errorf("an open field is described as guarded: %s", field.Description)
		}
		return text.String(), err
	}
	if log, err := start("extend type Query { open: Int! shut: Int @authenticated }"); err != nil || strings.Count(log, "\n") != 1 || !strings.Contains(log, "field=Query.open") {
		t.Errorf("got %v and the log %q", err, log)
	}
	for name, extension := range map[string]string{
		"sensitive type":           "extend type User { open: Int }",
		"two directives":           "extend type Query { open: Int @public @authenticated }",
		"guarded but not nullable": "extend type Query { open: Int! @authenticated }",
		"unknown scope":            `extend type Query { open: Int @requiresScopes(scopes: [["users:raed"]]) }`,
	} {
		if _, err := start(extension); err == nil || !strings.Contains(err.Error(), "more.graphqls:1:") {
			t.Errorf("%s: got %v, want an error that names more.graphqls:1", name, err)
		}
	}
}

func TestDirectivesOfTheProgramsOwnCountAsGuards(t *testing.T) {
	const own = `
		enum OwnRole { admin }
		directive @hasRole(role: OwnRole!) on FIELD_DEFINITION
		directive @isAuthenticated on FIELD_DEFINITION
		extend type Query { posts: [Int!]! @isAuthenticated drafts: Int @hasRole(role: admin) @isAuthenticated }`
	schema, err := ParseSchema(append(Sources(ownExecutable), &ast.Source{Name: "own.graphqls", Input: own})...)
	if err != nil {
		t.Fatal(err)
	}
	requirements, err := Audit(schema, AuditConfig{Guards: []string{"hasRole", "isAuthenticated"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Requirement{{"Query.posts", "@isAuthenticated"}, {"Query.drafts", "@hasRole(role: admin) and @isAuthenticated"}, {"Query.me", "any viewer who is logged in"}} {
		if !slices.Contains(requirements, want) {
			t.Errorf("not listed: %v", want)
		}
	}
	if _, err := Audit(schema, AuditConfig{Guards: []string{"isAuthenticated"}}); err != nil {
		t.Errorf("drafts has one of the guards: %v", err)
	}
	if _, err := Audit(schema, AuditConfig{Guards: []string{"hasRole", "isAuthentcated"}}); err == nil || !strings.Contains(err.Error(), "no directive @isAuthentcated") || !strings.Contains(err.Error(), "Query.posts has 0") {
		t.Errorf("a misspelt guard: %v", err)
	}
}
