package main

// Authorization.
func authorization() []mutation {
	return []mutation{}
}
