// Package docs has the tests of this repository's documents: their tables are complete, their code is that of the examples,
// and their commands do what they say. It imports what programs may import, and nothing else.
package docs
