//go:build !unix

package web

// maxFiles returns 0, for unknown.
func maxFiles() int { return 0 }
