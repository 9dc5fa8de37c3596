package db_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// If the wait for a synchronous standby is cancelled, PostgreSQL commits locally and only warns. The caller must not
// report success: a failover would lose the commit. T41, T181.
func TestACommitThatNoStandbyHasIsAnError(t *testing.T) {
	cluster := dbtest.StartCluster(t, "synchronous_commit=on")
	d := dbtest.Open(t, cluster.URL("postgres"))
	must[int](t)(d.Migrate(t.Context()))
	u := addUser(t, d, "ann", nil)
	for _, statement := range []string{`ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`} {
		must[int64](t)(d.Exec(t.Context(), "configure", statement))
	}
	time.Sleep(500 * time.Millisecond) // until the server has read its configuration
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begin := time.Now()
	err := d.Transact(ctx, func(tx *db.DB) error { return tx.SaveUser(ctx, u) })
	if took := time.Since(begin); took < time.Second {
		t.Fatalf("the commit did not wait for a standby: %v, %v", took, err)
	}
	wantUnavailable(t, err)
}
