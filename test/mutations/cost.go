package main

// Cost.
func cost() []mutation {
	return []mutation{}
}
