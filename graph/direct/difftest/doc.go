// Package difftest has the types of a schema with all that package direct must leave as it is. Its test compares the
// responses with and without package direct.
package difftest

//go:generate go run ../generate
