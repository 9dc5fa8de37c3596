// Package threats has the attacks that docs/security.md numbers, on a whole server over real connections: a test says the
// numbers in its name or above itself. It imports what programs may import, and nothing else.
package threats
