package db_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
)

func TestASocketIsReachedByItsFolder(t *testing.T) {
	folder, err := os.MkdirTemp("", "socket") //nolint:usetesting // the path of t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o777); err != nil { // the server may run as another user
		t.Fatal(err)
	}
	c := dbtest.StartCluster(t, "unix_socket_directories="+folder)
	u := must[*url.URL](t)(url.Parse(c.URL("postgres")))
	for _, raw := range []string{
		fmt.Sprintf("postgres://%s@%s:%d/postgres", u.User, strings.ReplaceAll(folder, "/", "%2F"), c.Port),
		fmt.Sprintf("postgres://%s@/postgres?host=%s&port=%d", u.User, folder, c.Port),
		fmt.Sprintf("host=%s port=%d user=postgres password='%s' dbname=postgres", folder, c.Port, password(u)),
	} {
		if err := dbtest.Open(t, raw).Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func password(u *url.URL) string {
	p, _ := u.User.Password()
	return p
}
