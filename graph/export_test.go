package graph

// Directly is for tests outside of the package, which use a whole server.
var Directly = directly
