// Command generate runs gqlgen with Latchkey's schema.
package main

import "github.com/latchkey/latchkey/graph/include"

func main() { include.Main(include.Options{StrictScalars: true, Subgraph: true}) }
