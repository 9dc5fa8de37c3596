package main

// JWT.
func jwt() []mutation {
	return []mutation{}
}
