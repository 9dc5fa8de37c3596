//go:build unix

package web

import "syscall"

// maxFiles returns how many files the process may have open (getrlimit(2)); 0 if that is unknown. Go has raised the
// soft limit to the hard one.
func maxFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 0
	}
	return int(limit.Cur)
}
