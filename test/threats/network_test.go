package threats

import (
	"fmt"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// An IPv6 client has 2^64 addresses, one for each guess. T4, T6, T179.
func TestT006_GuessesFromAnIPv6NetworkAreThoseOfOneClient(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	for what, name := range map[string]string{"one account": "alice", "many accounts": "user%d"} {
		limited := 0
		for i := range 40 {
			account := name
			if what == "many accounts" {
				account = fmt.Sprintf(name, i)
			}
			network := map[string]int{"one account": 1, "many accounts": 2}[what]
			if f.guess(fmt.Sprintf("2001:db8:0:%d::%x", network, i+1), account, "wrong").Code() == "RATE_LIMITED" {
				limited++
			}
		}
		if limited < 5 {
			t.Errorf("of 40 guesses at %s from one network %d were limited", what, limited)
		}
	}
	f.guess("2001:db8:0:3::1", "alice", servertest.AlicePassword).Want("") // another network
}
