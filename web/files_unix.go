//go:build unix

package web

import "syscall"

// maxFiles returns the number of files that the process may have open (getrlimit(2)), or 0 if it is unknown. The Go
// runtime has raised the soft limit to the hard one.
func maxFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 0
	}
	return int(limit.Cur)
}
