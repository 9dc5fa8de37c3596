//go:build !unix

package dbtest

import (
	"fmt"
	"os/exec"
)

// startJanitor refuses to start a server where nothing could be relied on to
// clean up after it; a server that runs already can still be used.
func (c *Cluster) startJanitor() error {
	return fmt.Errorf("%w: on this system it is not started by the tests", errNoPostgres)
}

// command is never reached: there is no server without its janitor.
func (c *Cluster) command(string, ...string) (*exec.Cmd, error) { return nil, errNoPostgres }

// handOver is never reached: there is no server without its janitor.
func handOver(...string) error { return errNoPostgres }
