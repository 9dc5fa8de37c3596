package main

// Browser and HTTP.
func browser() []mutation {
	return []mutation{}
}
