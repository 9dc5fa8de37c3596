//go:build unix

package operations

import (
	"database/sql"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
)

// standby makes a hot standby of the primary and waits until it is the synchronous one.
func standby(t *testing.T, primary *dbtest.Cluster, options ...string) *dbtest.Cluster {
	t.Helper()
	c := dbtest.StartCluster(t, options...) // a place, a port and a user to run as; the data are replaced
	if err := c.Stop("fast"); err != nil {
		t.Fatal(err)
	}
	copyData(t, primary, c.DataDir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	db := open(t, primary.URL("postgres"))
	eventually(t, 20*time.Second, "the standby is synchronous", func() bool {
		var n int
		err := db.QueryRow(`SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'`).Scan(&n)
		return err == nil && n == 1
	})
	return c
}

// copyData puts a copy of the primary into the directory, with the settings of a standby.
func copyData(t *testing.T, primary *dbtest.Cluster, dir string) {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(primary.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	backup := exec.Command(findBasebackup(t, primary), "--pgdata="+dir, "--wal-method=stream", "--checkpoint=fast", "--no-sync", "--write-recovery-conf",
		"--host="+u.Hostname(), "--port="+u.Port(), "--username="+u.User.Username())
	backup.Dir, backup.Env = filepath.Dir(dir), environment("PGPASSWORD="+password, "LC_ALL=C")
	if output, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, output)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("files have no owners here")
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// findBasebackup finds the program of the server's version, which packages put off the PATH.
func findBasebackup(t *testing.T, c *dbtest.Cluster) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.DataDir, "PG_VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSpace(string(text))
	for _, place := range []string{
		"/usr/lib/postgresql/%s/bin/", "/usr/pgsql-%s/bin/", "/opt/homebrew/opt/postgresql@%s/bin/", "/usr/local/opt/postgresql@%s/bin/", "",
	} {
		if strings.Contains(place, "%s") {
			place = fmt.Sprintf(place, version)
		}
		if path, err := exec.LookPath(place + "pg_basebackup"); err == nil {
			return path
		}
	}
	missing(t, "pg_basebackup")
	return ""
}

// promote makes the standby, whose users are the primary's, the primary.
func promote(t *testing.T, primary, standby *dbtest.Cluster) {
	t.Helper()
	var done bool
	db := open(t, hostsURL(t, primary, "sslmode=disable", standby.Port))
	if err := db.QueryRow(`SELECT pg_promote(true, 20)`).Scan(&done); err != nil || !done {
		t.Fatalf("promote: %v, %v", done, err)
	}
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// hostsURL is a URL of the servers at the ports, for the users of c, as PostgreSQL's documentation writes it:
// postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME?OPTIONS.
func hostsURL(t *testing.T, c *dbtest.Cluster, options string, ports ...int) string {
	t.Helper()
	u, err := url.Parse(c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, port := range ports {
		hosts = append(hosts, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	u.Host, u.RawQuery = strings.Join(hosts, ","), options
	return u.String()
}

// portsURL is hostsURL as the driver has it: postgres://USER:PASSWORD@HOST,HOST/NAME?port=PORT,PORT&OPTIONS.
func portsURL(t *testing.T, c *dbtest.Cluster, options string, ports ...int) string {
	t.Helper()
	u, err := url.Parse(hostsURL(t, c, options))
	if err != nil {
		t.Fatal(err)
	}
	var hosts, texts []string
	for _, port := range ports {
		hosts, texts = append(hosts, "127.0.0.1"), append(texts, strconv.Itoa(port))
	}
	u.Host, u.RawQuery = strings.Join(hosts, ","), "port="+strings.Join(texts, ",")+"&"+options
	return u.String()
}
