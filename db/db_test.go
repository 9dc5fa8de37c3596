package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

// each runs the test on each database.
func each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, dbtest.Open(t, url)) })
}

// noon is the current time in tests. It has microseconds, because both databases store them.
var noon = db.TimeOf(time.Date(2026, 1, 31, 12, 0, 0, 123456000, time.UTC))

func ptr[T any](v T) *T { return &v }

// addUser stores a user, which change may modify before.
func addUser(t testing.TB, d *db.DB, name string, change func(*db.User)) *db.User {
	t.Helper()
	u := &db.User{ID: db.NewID(db.UserID), Username: name, UsernameKey: strings.ToLower(name), CreatedAt: noon, UpdatedAt: noon}
	if change != nil {
		change(u)
	}
	if err := d.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u
}

func addSession(t testing.TB, d *db.DB, userID string, idleAt, expiresAt db.Time) *db.Session {
	t.Helper()
	s := &db.Session{
		ID: db.NewID(db.SessionID), UserID: userID, Device: "a phone", IP: "192.0.2.1", LoginNetwork: "192.0.2.1", Generation: 1,
		CreatedAt: noon, AuthenticatedAt: noon, Methods: db.JSONList[string]{"fed"}, Provider: ptr("acme"), ProviderSID: ptr("1"), RotatedAt: noon, IdleAt: idleAt, ExpiresAt: expiresAt,
	}
	if err := d.CreateSession(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// must returns the value of a call, or ends the test if it failed.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// parallel runs f n times concurrently and returns the joined errors.
func parallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func TestAFailedTransactionLeavesNothing(t *testing.T) {
	failure := errors.New("failure")
	for name, end := range map[string]func() error{
		"error": func() error { return failure },
		"panic": func() error { panic(failure) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, d *db.DB) {
				func() {
					defer func() { recover() }()
					err := d.Transact(t.Context(), func(tx *db.DB) error {
						addUser(t, tx, "ann", nil)
						return end()
					})
					if !errors.Is(err, failure) {
						t.Errorf("got %v", err)
					}
				}()
				if n := must[int](t)(d.CountUsers(t.Context(), "")); n != 0 {
					t.Errorf("%d users, want none", n)
				}
				addUser(t, d, "ben", nil) // fails if the connection was not released
			})
		})
	}
}

// Four processes increment one number. Without the lock they would overwrite each other's value.
func TestChangesUnderALockLoseNothing(t *testing.T) {
	const writers, times = 4, 100
	dbtest.Each(t, func(t *testing.T, url string) {
		u := addUser(t, dbtest.Open(t, url), "ann", func(u *db.User) { u.Name = ptr("0") })
		var all [writers]*db.DB
		for i := range all {
			all[i] = dbtest.Open(t, url)
		}
		err := parallel(writers, func(i int) error {
			for range times {
				if err := increment(t.Context(), all[i], u.ID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := must[*db.User](t)(all[0].UserByID(t.Context(), u.ID)); *got.Name != strconv.Itoa(writers*times) {
			t.Errorf("counted %s, want %d", *got.Name, writers*times)
		}
	})
}

func increment(ctx context.Context, d *db.DB, id string) error {
	return d.Transact(ctx, func(tx *db.DB) error {
		if err := tx.LockAdministrators(ctx); err != nil {
			return err
		}
		u, err := tx.UserByID(ctx, id)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(*u.Name)
		if err != nil {
			return err
		}
		u.Name = ptr(strconv.Itoa(n + 1))
		return tx.SaveUser(ctx, u)
	})
}

// PostgreSQL aborts one of two deadlocked transactions. The caller must not see that.
func TestADeadlockIsRunAgain(t *testing.T) {
	d := dbtest.Open(t, dbtest.Postgres(t))
	ann, ben := addUser(t, d, "ann", nil), addUser(t, d, "ben", nil)
	var firstDone sync.WaitGroup
	firstDone.Add(2)
	err := parallel(2, func(i int) error {
		order, met := [][]*db.User{{ann, ben}, {ben, ann}}[i], false
		return d.Transact(t.Context(), func(tx *db.DB) error {
			if err := tx.SaveUser(t.Context(), order[0]); err != nil {
				return err
			}
			if !met {
				met = true
				firstDone.Done()
				firstDone.Wait()
			}
			return tx.SaveUser(t.Context(), order[1])
		})
	})
	if err != nil {
		t.Error(err)
	}
}

// endless is a query that runs for years.
const endless = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) SELECT max(i) FROM n`

func TestAQueryEndsWithItsContext(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		for name, limit := range map[string]func(context.Context) (context.Context, context.CancelFunc){
			"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(100*time.Millisecond, cancel)
				return ctx, cancel
			},
			"too late": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 100*time.Millisecond)
			},
		} {
			t.Run(name, func(t *testing.T) {
				ctx, cancel := limit(t.Context())
				defer cancel()
				start := time.Now()
				var n int64
				err := db.GetInto(d, ctx, &n, "endless", endless)
				if took := time.Since(start); err == nil || took > 5*time.Second {
					t.Errorf("ended after %v with %v", took, err)
				}
				if !errors.Is(err, db.ErrUnavailable) && !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want one that says that the database did not answer", err)
				}
				if err := d.Ping(t.Context()); err != nil {
					t.Errorf("the next query: %v", err)
				}
			})
		}
	})
}

func TestADatabaseThatCannotAnswerIsUnavailable(t *testing.T) {
	save := func(d *db.DB) error {
		return d.CreateUser(context.Background(), &db.User{ID: db.NewID(db.UserID), Username: strings.Repeat("ann", 5000)})
	}
	t.Run("closed", func(t *testing.T) {
		each(t, func(t *testing.T, d *db.DB) {
			d.Close()
			_, err := d.UserByID(t.Context(), "x")
			wantUnavailable(t, err)
			wantUnavailable(t, d.Transact(t.Context(), func(*db.DB) error { return nil }))
			wantUnavailable(t, d.Ping(t.Context()))
		})
	})
	for name, pragma := range map[string]string{"read-only": "PRAGMA query_only(1)", "full": "PRAGMA max_page_count(1)"} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.Open(t, dbtest.SQLite(t))
			must[int64](t)(d.Exec(t.Context(), "limit", pragma))
			wantUnavailable(t, save(d))
		})
	}
	t.Run("not a database", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := db.Open(t.Context(), "sqlite:"+path)
		if err == nil {
			defer d.Close()
			_, err = d.Migrate(t.Context())
		}
		wantUnavailable(t, err)
	})
	t.Run("unreachable", func(t *testing.T) {
		_, err := db.Open(t.Context(), "postgres://ann:secret@127.0.0.1:1/x")
		wantUnavailable(t, err)
	})
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

// After a restart of PostgreSQL, the program must recover within seconds, without being restarted.
func TestPostgresMayRestart(t *testing.T) {
	cluster := dbtest.StartCluster(t)
	d := dbtest.Open(t, cluster.URL("postgres"))
	must[int](t)(d.Migrate(t.Context()))
	u := addUser(t, d, "ann", nil)
	for _, mode := range []string{"fast", "immediate"} {
		must[int64](t)(d.Exec(t.Context(), "checkpoint", "CHECKPOINT"))
		if err := cluster.Stop(mode); err != nil {
			t.Fatal(err)
		}
		_, err := d.UserByID(t.Context(), u.ID)
		wantUnavailable(t, err)
		wantUnavailable(t, d.Transact(t.Context(), func(tx *db.DB) error { return tx.SaveUser(t.Context(), u) }))
		if err := cluster.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.UserByID(t.Context(), u.ID); err != nil {
			t.Errorf("after the restart (%s): %v", mode, err)
		}
	}
}

func TestErrorsDoNotTellTheDatabasePassword(t *testing.T) {
	const secret = "hunter2secret"
	urls := []string{
		"postgres://ann:" + secret + "@127.0.0.1:1/x",
		"postgres://ann:" + secret + "@127.0.0.1:port/x",
		"postgres://ann:" + secret + "%@127.0.0.1/x",
		"postgres://ann:" + secret + "%zz@127.0.0.1/x",
		"postgres://ann:" + secret + "@[::1/x",
		"postgres://ann:" + secret + "\x7f@127.0.0.1/x",
		"postgres://ann:" + secret + "@127.0.0.1/x?sslmode=" + secret,
		"postgres://ann:" + secret + "@127.0.0.1/x?connect_timeout=" + secret,
		"postgres://ann@127.0.0.1:1/x?password=" + secret,
		"postgres://ann:" + secret + "@127.0.0.1:1/x?sslrootcert=" + secret + "&sslmode=verify-full",
		"postgres://ann:a/" + secret + "@127.0.0.1/x",
		"postgres://ann:#" + secret + "@127.0.0.1/x",
		"postgresql://ann:" + secret + "@host.invalid/x?connect_timeout=1",
		"mysql://ann:" + secret + "@127.0.0.1/x",
		"ann:" + secret, secret, "sqlite://?" + secret, "sqlite::memory:" + secret,
	}
	for _, url := range urls {
		checkSilence(t, url, secret)
	}
	t.Run("refused by the server", func(t *testing.T) {
		url := strings.Replace(dbtest.StartCluster(t).URL("postgres"), "postgres:", "postgres:"+secret, 2)
		url = strings.Replace(url, "postgres:"+secret+"//", "postgres://", 1)
		checkSilence(t, url, secret)
	})
}

func checkSilence(t *testing.T, url, secret string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	d, err := db.Open(ctx, url)
	if err == nil {
		d.Close()
		t.Fatalf("%q opened", url)
	}
	if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) {
		t.Errorf("%q: the error tells the password: %s", url, text)
	}
}

func TestSQLiteOpensTheFileThatIsNamed(t *testing.T) {
	for _, name := range []string{"plain.db", "a b.db", "a#b.db", "a%41.db", "ä&_pragma=x.db"} {
		path := filepath.Join(t.TempDir(), name)
		d := dbtest.Open(t, "sqlite:"+path)
		must[int](t)(d.Migrate(t.Context()))
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 && sizeOf(path+"-wal") == 0 {
			t.Errorf("%s: nothing was written there: %v", name, err)
			continue
		}
		for _, file := range []string{path, path + "-wal", path + "-shm"} {
			if info, err := os.Stat(file); err == nil && info.Mode().Perm() != 0o600 {
				t.Errorf("%s: others may read it: %v", file, info.Mode())
			}
		}
	}
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
