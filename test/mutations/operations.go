package main

// Leaks, injection, operations.
func operations() []mutation {
	return []mutation{}
}
