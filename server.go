// Command latchkey is a GraphQL server in which every root field is closed until its access is declared, and the
// commands that administer it. Without a command it serves. The program is package app.
package main

import "github.com/latchkey/latchkey/app"

func main() { app.Main(app.Options{}) }
