//go:build !unix

package web

// maxFiles returns 0: there is no such limit.
func maxFiles() int { return 0 }
