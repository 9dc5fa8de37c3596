//go:build !unix

package dbtest

import (
	"fmt"
	"os/exec"
)

// startJanitor returns an error: on this system nothing could clean up reliably
// after a server. A server that is already running can still be used (ServerEnv).
func (c *Cluster) startJanitor() error {
	return fmt.Errorf("%w: the tests do not start it on this system", errNoPostgres)
}

// command is never called: there is no server without its janitor.
func (c *Cluster) command(string, ...string) (*exec.Cmd, error) { return nil, errNoPostgres }

// handOver is never called: there is no server without its janitor.
func handOver(...string) error { return errNoPostgres }
