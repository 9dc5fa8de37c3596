package auth

import (
	"slices"
	"strings"

	"github.com/latchkey/latchkey/db"
)

// The table of scopes and roles. To add a scope, add a line to Scopes; to add a role, a line to roles and
// a value to the enum Role of schema.graphqls.

// A Scope is a right. Its name has the form NOUN:VERB.
type Scope struct{ Name, Description string }

// Scopes are all scopes there are.
var Scopes = []Scope{
	{"users:read", "See all users, their sessions and their API tokens."},
	{"users:write", "Create, change, disable and enable users, and end their sessions; the answers show the user that was changed."},
	{"audit:read", "See the security events of all users."},
	{"tokens:introspect", "Ask whether tokens are good, revoke them, and hear of revocations: for services that accept our tokens."},
}

// The built-in roles.
const (
	RoleUser  db.Role = "USER"
	RoleAdmin db.Role = "ADMIN"
)

var roles = map[db.Role][]string{
	RoleUser:  {},
	RoleAdmin: {"users:read", "users:write", "audit:read", "tokens:introspect"},
}

// KnownScope reports whether a scope of that name exists.
func KnownScope(name string) bool {
	return slices.ContainsFunc(Scopes, func(s Scope) bool { return s.Name == name })
}

// KnownRole reports whether a role of that name exists.
func KnownRole(name db.Role) bool {
	_, ok := roles[name]
	return ok
}

// Granted is a set of scopes, sorted.
type Granted []string

// scopesOf unites the scopes of roles.
func scopesOf(have []db.Role) Granted {
	var all Granted
	for _, r := range have {
		all = append(all, roles[r]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ScopesOf are the scopes that a user's roles give.
func ScopesOf(u *db.User) []string { return append([]string{}, scopesOf(u.Roles)...) }

// Satisfy reports whether the set holds all scopes of at least one of the ways: (a and b) or c.
func (g Granted) Satisfy(ways [][]string) bool {
	return slices.ContainsFunc(ways, func(all []string) bool { return g.include(all) })
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
