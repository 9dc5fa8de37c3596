package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/graph/direct"
)

// The directives that ask for more than access: @recentAuth and @mfa. A field has them in addition to its access directive.

func (d directives) recentAuth(ctx context.Context, _ any, next graphql.Resolver, within *string) (any, error) {
	duration, err := parseWithin(within)
	if err != nil {
		return nil, err // the start has refused it: see auditStepUp
	}
	return recordDenied(ctx, d.service, func(*auth.Viewer) error { return d.service.RecentAuth(ctx, duration) }, next)
}

func (d directives) mfa(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
	return recordDenied(ctx, d.service, func(*auth.Viewer) error { return d.service.SecondFactor(ctx) }, next)
}

// parseWithin reads the argument of @recentAuth. Without one it returns 0, which stands for the server's setting.
func parseWithin(text *string) (time.Duration, error) {
	if text == nil {
		return 0, nil
	}
	d, err := time.ParseDuration(*text)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf(`within is %q, and must be a duration of at least a second, such as "10m" or "1h30m"`, *text)
	}
	return d, nil
}

// withinOf is parseWithin of a directive in a schema.
func withinOf(d *ast.Directive) (time.Duration, error) {
	argument := d.Arguments.ForName("within")
	if argument == nil || argument.Value.Kind == ast.NullValue {
		return parseWithin(nil)
	}
	return parseWithin(&argument.Value.Raw)
}

// auditStepUp returns what @recentAuth and @mfa add to what a field needs. It returns an error where they have no access
// directive beside them, or one that lets anyone pass.
func auditStepUp(all ast.DirectiveList, access []*ast.Directive, own string) (adds string, err error) {
	var needs []string
	if d := all.ForName("recentAuth"); d != nil {
		within, err := withinOf(d)
		if err != nil {
			return "", fmt.Errorf("@recentAuth: %w", err)
		}
		age := "LATCHKEY_MAX_AUTH_AGE"
		if within > 0 {
			age = shortDuration(within)
		}
		needs = append(needs, "a login or reauthentication within "+age)
	}
	if all.ForName("mfa") != nil {
		needs = append(needs, "a second factor")
	}
	switch {
	case len(needs) == 0:
		return "", nil
	case len(access) == 0 && own == "":
		return "", errors.New("@recentAuth and @mfa stand beside an access directive: write @authenticated or @requiresScopes too")
	case len(access) > 0 && access[0].Name == "public":
		return "", errors.New("a field that is @public cannot ask for @recentAuth or @mfa: write @authenticated")
	}
	return ", with " + strings.Join(needs, " and "), nil
}

// shortDuration writes 10m0s as 10m.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// The guards of package direct ask what is known of the viewer. Where that does not suffice, gqlgen runs the directive, which
// reads the session again.

var directMFA direct.Guard = func(ctx context.Context) bool { return auth.ViewerFrom(ctx).MFA() }

func (g *directGuards) recentAuth(d *ast.Directive) direct.Guard {
	within, err := withinOf(d)
	return func(ctx context.Context) bool {
		return err == nil && g.service.AuthenticatedWithin(auth.ViewerFrom(ctx), within)
	}
}
