// Command generate runs gqlgen with Latchkey's schema, for projects whose include.Options fit into a command line:
//
//	//go:generate go run github.com/latchkey/latchkey/graph/include/generate -rename User=Account,Node=AccountNode -omit Query.node
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/latchkey/latchkey/graph/include"
)

func main() {
	o, err := options(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(2)
	}
	include.Main(o)
}

func options(args []string) (o include.Options, err error) {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.Func("rename", "`Type=Name,…`: other names for types of Latchkey's", func(list string) error {
		o.Rename = map[string]string{}
		for pair := range strings.SplitSeq(list, ",") {
			from, to, ok := strings.Cut(pair, "=")
			if !ok || from == "" || to == "" {
				return fmt.Errorf("%q is not of the form Type=Name", pair)
			}
			o.Rename[from] = to
		}
		return nil
	})
	names := func(list *[]string) func(string) error {
		return func(text string) error {
			*list = strings.Split(text, ",")
			return nil
		}
	}
	flags.Func("merge", "`Type,…`: types of Latchkey's that the project declares with the same fields", names(&o.Merge))
	flags.Func("omit", "`Query.field,…`: root fields of Latchkey's to leave out", names(&o.Omit))
	flags.BoolVar(&o.StrictScalars, "strict-scalars", false, "refuse values of other JSON types for String, Int, ID and Boolean")
	flags.StringVar(&o.Resolver, "resolver", "", "Go `expression` for Latchkey's resolver in methods of the project's; r.Latchkey by default")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("there is no use for %q", flags.Arg(0))
	}
	return o, nil
}
