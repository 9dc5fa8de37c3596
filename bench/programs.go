package main

import "path/filepath"

// programs are what is measured, the yardstick first.
func (r *run) programs() []*program {
	all := []*program{r.yardstick(), r.latchkeyAt("latchkey")}
	if r.Base != "" {
		all = append(all, r.latchkeyAt("base"))
	}
	return all
}

func (r *run) yardstick() *program {
	return &program{
		name: "yardstick", command: []string{filepath.Join(r.dir, "yardstick"), "-addr", "ADDR"}, dir: r.dir,
		env:   func(string) []string { return []string{"DATABASE_URL=" + r.database.url} },
		path:  func(s *scenario) string { return s.path },
		token: r.accessToken,
		first: call{post("/me", "", query(me)), ok(nil)},
	}
}

// latchkeyAt is the server with its default settings, except that one client may ask for everything: all load comes from
// one address. The environment has further settings.
func (r *run) latchkeyAt(name string, environment ...string) *program {
	return &program{
		name: name, command: []string{filepath.Join(r.dir, name), "serve"}, dir: r.dir,
		env: func(addr string) []string {
			return append([]string{
				"DATABASE_URL=" + r.database.url, "LATCHKEY_SECRET=" + r.secret, "LATCHKEY_ADDR=" + addr,
				"LATCHKEY_ISSUER=http://bench.test", "LATCHKEY_ACCESS_TTL=15m", "LATCHKEY_CLIENT_RATE=0", "LATCHKEY_CLIENT_SHARE=100", "LATCHKEY_IN_FLIGHT=0",
			}, environment...)
		},
		path:  func(*scenario) string { return "/graphql" },
		token: r.accessToken,
		first: call{post("/graphql", "", query(`{ __typename }`)), ok([]byte(`{"data":{"__typename":"Query"}}`))},
	}
}
