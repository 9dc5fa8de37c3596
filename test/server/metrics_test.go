package server

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

func TestMetricsCountWhatHappened(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		s.AwaitNotices()
		alice, _, _ := s.Session("alice", servertest.AlicePassword)
		s.Ask(alice, `{ me { id } }`)
		s.Ask("", `{ me { id } }`)
		s.Ask("", servertest.LoginMutation, "u", "alice", "p", "wrong")
		figures := s.Scrape()
		for _, wanted := range []string{
			`latchkey_graphql_operations_total{code="OK",field="me",kind="query"} 1`,
			`latchkey_graphql_operations_total{code="UNAUTHENTICATED",field="me",kind="query"} 1`,
			`latchkey_logins_total{outcome="ok"} 1`, `latchkey_logins_total{outcome="refused"} 1`,
			`latchkey_hearing_notices 1`, `latchkey_websockets 0`, `latchkey_notice_delay_seconds_count`,
			`latchkey_database_connections{pool="read",state="in_use"}`, `latchkey_graphql_duration_seconds_bucket`,
		} {
			if !strings.Contains(figures, wanted) {
				t.Errorf("the metrics lack %s", wanted)
			}
		}
	})
}
