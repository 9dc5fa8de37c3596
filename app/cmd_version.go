package app

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

func (versionCmd) Run(p *program, io stdio) error { return printed(io.out, nil, p.version()) }

// stamp is the version that `make build` sets.
var stamp string

// version returns the stamp, the module's version, or the commit that the program was built from.
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
