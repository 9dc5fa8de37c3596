//go:build unix && !linux

package main

// mountedReadOnly cannot tell here; containers run on Linux.
func mountedReadOnly(string) bool { return false }
