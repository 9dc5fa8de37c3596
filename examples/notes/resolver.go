package main

// Resolver holds what resolvers need.
type Resolver struct{ notes *notesDB }
