// Command latchkey is a GraphQL server in which every root field is closed until its access is declared, with commands to
// administer it. Without a command it runs the server. The implementation is package app.
package main

import "github.com/latchkey/latchkey/app"

func main() { app.Main(app.Options{}) }
