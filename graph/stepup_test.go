package graph_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/test/servertest"
)

// A field that asks for a recent login or a second factor must not be given to an API token, a stale session, or one that
// was remembered, neither by gqlgen nor by what writes results directly. T247.
func TestStepUpDirectivesLetOnlySessionsPassThatHaveProvedEnough(t *testing.T) {
	servertest.Each(t, app.Options{}, func(t *testing.T, s *servertest.Server) {
		ann := s.User("ann")
		other := s.Replica()
		token, _ := s.NewAPIToken(ann.Token)
		outcome := func(at *servertest.Server, token string) (within, mfa string) {
			t.Helper()
			var header []string
			if token != "" {
				header = []string{"Bearer " + token}
			}
			ctx := auth.WithViewer(t.Context(), at.Auth.Identify(t.Context(), auth.Client{}, header))
			ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: "Query"})
			d := graph.Directives(at.Auth)
			next := func(context.Context) (any, error) { return "given", nil }
			try := func(v any, err error) string {
				if err != nil {
					return fmt.Sprintf("%T", err)
				}
				return v.(string)
			}
			minutes := "5m"
			within, mfa = try(d.RecentAuth(ctx, nil, next, &minutes)), try(d.Mfa(ctx, nil, next))
			if byDefault := try(d.RecentAuth(ctx, nil, next, nil)); byDefault != within {
				t.Errorf("without within: %s, want %s", byDefault, within)
			}
			for _, c := range []struct{ name, argument, value, given string }{{"recentAuth", "within", "5m", within}, {"recentAuth", "", "", within}, {"mfa", "", "", mfa}} {
				name := c.name
				allows, known := graph.DirectGuard(at.Auth, name, c.argument, c.value)
				if !known || allows(ctx) && c.given != "given" { // the other way, gqlgen executes the field
					t.Errorf("@%s: known %v; it is written directly, while gqlgen says %s", name, known, c.given)
				}
			}
			return within, mfa
		}
		want := func(what string, at *servertest.Server, token, within, mfa string) {
			t.Helper()
			if gotWithin, gotMFA := outcome(at, token); gotWithin != within || gotMFA != mfa {
				t.Errorf("%s: got %s, %s; want %s, %s", what, gotWithin, gotMFA, within, mfa)
			}
		}
		const old, single, forbidden, anonymous = "*auth.ReauthenticationRequiredError", "*auth.MFARequiredError", "*auth.ForbiddenError", "*token.UnauthenticatedError"
		want("nobody", s, "", anonymous, anonymous)
		want("an API token", s, token, forbidden, forbidden)
		want("a login", s, ann.Token, "given", single)
		started := ann.Ask(`mutation { startTotp { secret } }`).Want("")
		code := servertest.TOTP(t, started.Text("startTotp.secret"), s.Clock.Now())
		want("a login, at another process", other, ann.Token, "given", single)
		ann.Ask(`mutation($c: String!) { confirmTotp(input: {code: $c}) { factor { id } } }`, "c", code).Want("")
		want("a second factor", s, ann.Token, "given", "given")
		want("a second factor, at another process", other, ann.Token, "given", "given")
		s.Clock.Advance(6 * time.Minute)
		want("six minutes later", s, ann.Token, old, "given")
		want("six minutes later, at another process", other, ann.Token, old, "given")
		code = servertest.TOTP(t, started.Text("startTotp.secret"), s.Clock.Now())
		ann.Ask(`mutation($p: String!, $c: String) { reauthenticate(input: {password: $p, code: $c}) { authenticatedAt } }`, "p", servertest.Password("ann"), "c", code).Want("")
		want("again", s, ann.Token, "given", "given")
		want("again, at another process", other, ann.Token, "given", "given") // at once: what it remembers is older
	}, func(s *servertest.Settings) { s.MaxAuthAge = 5 * time.Minute })
}

const stepUpPrelude = `
directive @public on FIELD_DEFINITION
directive @authenticated on FIELD_DEFINITION
directive @requiresScopes(scopes: [[Scope!]!]!) on FIELD_DEFINITION
directive @recentAuth(within: String) on FIELD_DEFINITION
directive @mfa on FIELD_DEFINITION
directive @hasRole(role: String!) on FIELD_DEFINITION
directive @sensitive on OBJECT
scalar Scope
`

// A duration that cannot be read must stop the start, and must not open the field. T247.
func TestStepUpDirectivesThatMeanNothingStopTheStart(t *testing.T) {
	for field, want := range map[string]string{
		`a: Int @authenticated @recentAuth(within: "10 minutes")`: `test.graphqls:10:14: Query.a: @recentAuth: within is "10 minutes"`,
		`a: Int @authenticated @recentAuth(within: "")`:           "Query.a: @recentAuth: within is",
		`a: Int @authenticated @recentAuth(within: "-1h")`:        "at least a second",
		`a: Int @authenticated @recentAuth(within: "10ms")`:       "at least a second",
		`a: Int @public @mfa`:                                     "Query.a: a field that is @public cannot ask",
		`a: Int @public @recentAuth(within: "1m")`:                "Query.a: a field that is @public cannot ask",
		`a: Int @mfa`:                                                             "Query.a: @recentAuth and @mfa stand beside an access directive",
		`a: Int @recentAuth @authenticated`:                                       "= any viewer who is logged in, with a login or reauthentication within LATCHKEY_MAX_AUTH_AGE",
		`a: Int @public @recentAuth`:                                              "Query.a: a field that is @public cannot ask",
		`a: Int @authenticated @recentAuth(within: null)`:                         "within LATCHKEY_MAX_AUTH_AGE",
		`a: Int @authenticated @recentAuth(within: "1h30m")`:                      "= any viewer who is logged in, with a login or reauthentication within 1h30m",
		`a: Int @requiresScopes(scopes: [["users:read"]]) @mfa`:                   "= the scope users:read, with a second factor",
		`a: Int @hasRole(role: "x") @mfa @recentAuth(within: "10m")`:              `= @hasRole(role: "x"), with a login or reauthentication within 10m and a second factor`,
		`a: T @authenticated } type T { b: Int @recentAuth(within: "10m") c: Int`: "T.b: @recentAuth and @mfa stand beside an access directive",
	} {
		schema, err := graph.ParseSchema(&ast.Source{Name: "test.graphqls", Input: stepUpPrelude + "type Query { " + field + " }"})
		if err != nil {
			t.Fatal(err)
		}
		requirements, err := graph.Audit(schema, graph.AuditConfig{Guards: []string{"hasRole"}})
		got := fmt.Sprint(err)
		if err == nil {
			got = "= " + requirements[0].Needs
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", field, got, want)
		}
	}
}
