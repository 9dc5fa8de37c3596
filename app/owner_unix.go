//go:build unix

package app

import (
	"io/fs"
	"os"
	"syscall"
)

// trustedOwner reports whether a file belongs to root, to the user of this process, or to the owner of the SQLite database,
// on whose behalf root may run a command. It also trusts files on a read-only mount: containers mount secrets that way, and
// these keep the owner that they have on the host.
func trustedOwner(path string, info fs.FileInfo, database string) bool {
	owner, known := ownerOf(info)
	if !known || owner == 0 || owner == os.Geteuid() || mountedReadOnly(path) {
		return true
	}
	other, err := os.Stat(database)
	if err != nil {
		return false
	}
	same, known := ownerOf(other)
	return known && same == owner
}

func ownerOf(info fs.FileInfo) (uid int, known bool) {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, false
	}
	return int(stat.Uid), true
}
