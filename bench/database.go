package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
)

// A database is SQLite, which runs in the server's process, or a PostgreSQL server of the harness's own.
type database struct {
	name, url string
	pid       int // of the postmaster; 0 for SQLite
	close     func() error
}

// settings has those of PostgreSQL's defaults that cost CPU time, which dbtest turns off, and room for the connections of many
// processes. dbtest's fsync=off stays: CPU time is measured, and queries time out when the disk of a shared machine stalls.
var settings = []string{"synchronous_commit=on", "full_page_writes=on", "max_connections=300"}

func openDatabase(name, dir string) (*database, error) {
	switch name {
	case "sqlite":
		return &database{name: name, url: "sqlite:" + filepath.Join(dir, "bench.db"), close: func() error { return nil }}, nil
	case "postgres":
		cluster, err := dbtest.NewCluster(settings...)
		if err != nil {
			return nil, err
		}
		d := &database{name: name, url: cluster.URL("postgres"), close: cluster.Remove}
		if d.pid, err = postmaster(cluster.DataDir); err != nil {
			return nil, errors.Join(err, d.close())
		}
		return d, nil
	}
	return nil, fmt.Errorf("unknown database %q: want postgres or sqlite", name)
}

// postmaster reads the PID of the server from its lock file.
func postmaster(dataDir string) (int, error) {
	lock, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(lock), "\n")
	return strconv.Atoi(line)
}

// cpu returns the CPU time of all of PostgreSQL's processes.
func (d *database) cpu() (time.Duration, error) {
	if d.pid == 0 {
		return 0, nil
	}
	return treeCPU(d.pid)
}

// sleep waits, or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
