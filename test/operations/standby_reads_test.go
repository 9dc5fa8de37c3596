//go:build unix

package operations

import (
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
)

// Without this, a process that happens to connect to a standby knows of a revocation only when the standby does.
// T152.
func TestAStandbyThatIsListedFirstIsNotReadFrom(t *testing.T) {
	primary := dbtest.StartCluster(t, "synchronous_commit=on", "synchronous_standby_names=*")
	second := standby(t, primary, "synchronous_commit=on")
	url := hostsURL(t, primary, "sslmode=disable", second.Port, primary.Port)
	prepare(t, url, "alice")
	s := newServer(t, "latchkey0", url)
	c := newClient(s.address)
	for range 30 { // enough for each connection of the pool
		session, err := c.login("alice")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.logout(session.AccessToken); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	query := `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`
	if err := open(t, hostsURL(t, primary, "sslmode=disable", second.Port)).QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != 0 {
		t.Errorf("%d connections to the standby", n)
	}
}
