package auth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/lazy"
)

// A Scope is a permission. Its name has the form NOUN:VERB.
type Scope struct{ Name, Description string }

// The built-in roles.
const (
	RoleUser  db.Role = "USER"  // every user's role unless others are given; no scopes of its own
	RoleAdmin db.Role = "ADMIN" // all scopes, including those that a program adds
)

// builtinScopes are the scopes of Latchkey's own fields and endpoints.
var builtinScopes = []Scope{
	{"users:read", "See all users, their sessions and their API tokens."},
	{"users:write", "Create, change, disable and enable users, and end their sessions; the results show the user that was changed."},
	{"audit:read", "See the security events of all users."},
	{"tokens:introspect", "Introspect and revoke tokens, and receive revocations: for services that accept our tokens."},
}

// Rights are the scopes that exist, and the roles that grant them. Make them with NewRights; they do not change.
type Rights struct {
	scopes []Scope
	roles  map[db.Role]Granted
	mfa    []db.Role // see RequireMFA
}

var (
	scopePattern = lazy.Regexp(`^[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*$`)
	rolePattern  = lazy.Regexp(`^[A-Z][A-Z0-9_]*$`) // a value of the schema's enum Role
)

// NewRights adds scopes and roles to the built-in ones. A role that is built in or given twice gets the scopes of both.
// ADMIN has all scopes. It returns an error for a malformed name, a scope that exists already, and a role with a scope
// that does not exist.
func NewRights(scopes []Scope, roles map[db.Role][]string) (*Rights, error) {
	r := &Rights{scopes: slices.Clone(builtinScopes), roles: map[db.Role]Granted{RoleUser: nil, RoleAdmin: nil}}
	var faults []error
	for _, s := range scopes {
		switch {
		case !scopePattern().MatchString(s.Name):
			faults = append(faults, fmt.Errorf("the scope %q must have the form noun:verb", s.Name))
		case r.KnownScope(s.Name):
			faults = append(faults, fmt.Errorf("the scope %q exists already", s.Name))
		}
		r.scopes = append(r.scopes, s)
	}
	for role, granted := range roles {
		if !rolePattern().MatchString(string(role)) {
			faults = append(faults, fmt.Errorf("the role %q must be written in capitals, as a value of the schema's enum Role", role))
		}
		for _, scope := range granted {
			if !r.KnownScope(scope) {
				faults = append(faults, fmt.Errorf("the role %s has the scope %q, which does not exist", role, scope))
			}
		}
		r.roles[role] = newGranted(granted)
	}
	var all []string
	for _, s := range r.scopes {
		all = append(all, s.Name)
	}
	r.roles[RoleAdmin] = newGranted(all)
	return r, errors.Join(faults...)
}

// DefaultRights are the built-in scopes and roles.
var DefaultRights = func() *Rights {
	r, err := NewRights(nil, nil)
	if err != nil {
		panic(err) // only if the table above is wrong
	}
	return r
}()

// Scopes lists all scopes: the built-in ones first.
func (r *Rights) Scopes() []Scope { return slices.Clone(r.scopes) }

// Roles lists the names of all roles, sorted.
func (r *Rights) Roles() []db.Role { return slices.Sorted(maps.Keys(r.roles)) }

// KnownScope reports whether a scope of that name exists.
func (r *Rights) KnownScope(name string) bool {
	return slices.ContainsFunc(r.scopes, func(s Scope) bool { return s.Name == name })
}

// KnownRole reports whether a role of that name exists.
func (r *Rights) KnownRole(name db.Role) bool {
	_, ok := r.roles[name]
	return ok
}

// Granted are the scopes that the roles grant together.
func (r *Rights) Granted(roles []db.Role) Granted {
	var all Granted
	for _, role := range roles {
		all = append(all, r.roles[role]...)
	}
	return newGranted(all)
}

// RequireMFA returns the same rights, except that the roles of a user who has one of these have no effect in a session that
// has not proved a second factor. API tokens are not affected.
func (r *Rights) RequireMFA(roles []db.Role) (*Rights, error) {
	for _, role := range roles {
		if !r.KnownRole(role) {
			return nil, fmt.Errorf("there is no role %q that could require a second factor", role)
		}
	}
	strict := *r
	strict.mfa = slices.Clone(roles)
	return &strict, nil
}

// needMFA reports whether users with the roles must have a second factor.
func (r *Rights) needMFA(roles []db.Role) bool {
	return slices.ContainsFunc(roles, func(role db.Role) bool { return slices.Contains(r.mfa, role) })
}

// inSession returns the scopes that the roles grant in a session which has proved its user by the methods. If they are
// withheld until a second factor is proved, withheld is not nil.
func (r *Rights) inSession(roles []db.Role, methods []string) (granted, withheld Granted) {
	granted = r.Granted(roles)
	if r.needMFA(roles) && !slices.Contains(methods, MethodMFA) {
		return Granted{}, granted
	}
	return granted, nil
}

// checkRoles returns an InputError for the first role that does not exist.
func (r *Rights) checkRoles(roles []db.Role) error {
	for _, role := range roles {
		if !r.KnownRole(role) {
			var names []string
			for _, known := range r.Roles() {
				names = append(names, string(known))
			}
			return inputError("roles", "must be among %s: there is no %q", strings.Join(names, ", "), role)
		}
	}
	return nil
}

// Granted is a set of scopes, sorted.
type Granted []string

// newGranted makes a set; an empty one is not nil, so that it is an empty list for clients.
func newGranted(scopes []string) Granted {
	set := append(Granted{}, scopes...)
	slices.Sort(set)
	return slices.Compact(set)
}

// Satisfy reports whether the set holds all scopes of at least one of the alternatives: (a and b) or c.
func (g Granted) Satisfy(alternatives [][]string) bool {
	return slices.ContainsFunc(alternatives, func(all []string) bool { return g.include(all) })
}

func (g Granted) include(all []string) bool {
	for _, s := range all {
		if !slices.Contains(g, s) {
			return false
		}
	}
	return true
}

// among keeps the scopes that the other set has too.
func (g Granted) among(other Granted) Granted {
	var both Granted
	for _, s := range g {
		if slices.Contains(other, s) {
			both = append(both, s)
		}
	}
	return both
}

// String is the set as OAuth 2 writes it: space-separated (RFC 6749, section 3.3).
func (g Granted) String() string { return strings.Join(g, " ") }
