package server

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
)

func TestMetricsCountWhatHappened(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		s.hearing(t)
		alice, _, _ := s.login("alice", userPassword)
		s.ask(alice, `{ me { id } }`)
		s.ask("", `{ me { id } }`)
		s.ask("", loginMutation, "u", "alice", "p", "wrong")
		figures := s.figures()
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

func (s *server) figures() string {
	w := httptest.NewRecorder()
	s.metrics.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestTheDashboardShowsMetricsThatExist(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	s.login("alice", userPassword)
	figures := s.figures()
	for _, name := range regexp.MustCompile(`(latchkey|process)_\w+`).FindAllString(read(t, "../../docs/grafana.json"), -1) {
		if !strings.Contains(figures, name) {
			t.Errorf("docs/grafana.json shows %s, which there is not", name)
		}
	}
}
