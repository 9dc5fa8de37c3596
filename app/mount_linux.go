package app

import "syscall"

// mountedReadOnly reports whether a file is on a read-only mount.
func mountedReadOnly(path string) bool {
	const readOnly = 1 // ST_RDONLY, see statfs(2)
	var stat syscall.Statfs_t
	return syscall.Statfs(path, &stat) == nil && stat.Flags&readOnly != 0
}
