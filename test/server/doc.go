// Package server has the tests of what the whole server does over HTTP, on each database: caller, operation, wanted data or
// wanted code. It imports what programs may import, and nothing else.
package server
