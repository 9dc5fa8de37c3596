package db_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lib/pq"

	"github.com/latchkey/latchkey/db"
)

// Every connection string is either rejected as malformed or converted to one that the driver parses, that never connects
// to a standby, and that disables TLS only if it says so or the server is on this machine. T151.
func FuzzConnectionString(f *testing.F) {
	for _, seed := range []string{
		"postgres://ann:pw@db.example.com:5432/x?sslmode=verify-full", "postgres://a,b:1,[::1]:2/x", "postgres://%2Frun/x", "postgres:///x?host=/run",
		"host=a port=5432 user='x\\'y' password=p\\ w", "host=a,b sslmode=disable", "postgres://a/x?host=b&hostaddr=10.0.0.1", "postgres://@:5432", "host='' hostaddr=",
		"postgres://a/x?user=b'&x.y=1", "postgres://localhost,db/x?port=1,2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		source, _, err := db.ParsePostgres(raw)
		if err != nil {
			if !errors.Is(err, db.ErrBadURL) {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		c, err := pq.NewConfig(source)
		if err != nil {
			t.Fatalf("%q became %q: %v", raw, source, err)
		}
		if c.TargetSessionAttrs != pq.TargetSessionAttrsPrimary && c.TargetSessionAttrs != pq.TargetSessionAttrsReadWrite {
			t.Errorf("%q asks for %q", raw, c.TargetSessionAttrs)
		}
		if strings.Contains(raw, "sslmode") || strings.Contains(raw, "%") || strings.Contains(raw, "service") {
			return
		}
		for _, host := range append([]pq.ConfigMultihost{{Host: c.Host, Hostaddr: c.Hostaddr}}, c.Multi...) {
			local := host.Hostaddr.IsLoopback() || !host.Hostaddr.IsValid() && (strings.HasPrefix(host.Host, "127.") || strings.Contains(host.Host, "localhost") ||
				strings.HasPrefix(host.Host, "/") || strings.HasPrefix(host.Host, "@") || strings.Contains(host.Host, ":") || host.Host == "")
			if !local && (c.SSLMode == pq.SSLModeDisable || c.SSLMode == pq.SSLModePrefer || c.SSLMode == pq.SSLModeAllow || c.SSLMode == "") {
				t.Errorf("%q: %q with sslmode=%q", raw, host.Host, c.SSLMode)
			}
		}
	})
}
