package db_test

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// On SQLite no row is locked by itself.
func TestUsesOfTokensAreNotedWhileOneOfThemIsLocked(t *testing.T) {
	url := dbtest.Postgres(t)
	d := must[*db.DB](t)(db.Open(t.Context(), url))
	defer d.Close()
	user := addUser(t, d, "ann", nil)
	var ids []string
	for range 5 {
		token := &db.APIToken{ID: db.NewID(db.TokenID), UserID: user.ID, Digest: "sha256:" + db.NewID("x"), CreatedAt: noon}
		if err := d.CreateAPIToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, token.ID)
	}
	locked := ids[2]
	other, err := dbtest.Shell(t, url).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback() }()
	if _, err := other.ExecContext(t.Context(), "UPDATE api_tokens SET name = 'x' WHERE id = $1", locked); err != nil {
		t.Fatal(err)
	}

	lastUse := func(id string) *db.Time { return must[*db.APIToken](t)(d.APIToken(t.Context(), id)).LastUsedAt }
	waited := make(chan error, 1)
	go func() { waited <- d.TouchAPITokens(t.Context(), noon, ids...) }()
	for deadline := time.Now().Add(20 * time.Second); lastUse(ids[0]) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a locked token keeps the use of another from being noted")
		}
	}
	if _, err := other.ExecContext(t.Context(), "SET lock_timeout = '5s'"); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if _, err := other.ExecContext(t.Context(), "UPDATE api_tokens SET name = 'x' WHERE id = $1", id); err != nil {
			t.Errorf("the other transaction cannot lock a token whose use was noted: %v", err)
		}
		if noted := lastUse(id) != nil; noted == (id == locked) {
			t.Errorf("token %s, locked %t: its use was noted: %t", id, id == locked, noted)
		}
	}
	if err := other.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil { // it has waited for too long; the caller tries again
		t.Log(err)
		if err := d.TouchAPITokens(t.Context(), noon, ids...); err != nil {
			t.Fatal(err)
		}
	}
	if lastUse(locked) == nil {
		t.Error("after the lock, the last use of the token is not noted")
	}
}
