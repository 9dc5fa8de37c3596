package app

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

func (versionCmd) Run(io stdio) error { return printed(io.out, nil, version()) }

// stamp is the version that `make build` writes into the program.
var stamp string

// version is the stamp, or the module's version, or the commit it was built from.
func version() string {
	v := stamp
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
				v = s.Value
			}
		}
	}
	return fmt.Sprintf("latchkey %s %s", cmp.Or(v, "(devel)"), runtime.Version())
}
