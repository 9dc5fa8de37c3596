//go:build unix && !linux

package app

// mountedReadOnly is only implemented on Linux, where containers run.
func mountedReadOnly(string) bool { return false }
