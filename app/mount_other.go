//go:build unix && !linux

package app

// mountedReadOnly cannot tell here; containers run on Linux.
func mountedReadOnly(string) bool { return false }
