package main

// Tokens and sessions.
func tokens() []mutation {
	return []mutation{}
}
