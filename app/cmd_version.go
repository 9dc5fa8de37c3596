package app

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

func (versionCmd) Run(p *program, io stdio) error { return printed(io.out, nil, p.version()) }

// stamp is the version that `make build` writes into the program.
var stamp string

// version is the stamp, or the module's version, or the commit it was built from.
func (p *program) version() string {
	v := cmp.Or(stamp, p.Version)
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
				v = s.Value
			}
		}
	}
	return fmt.Sprintf("%s %s %s", p.Name, cmp.Or(v, "(devel)"), runtime.Version())
}
