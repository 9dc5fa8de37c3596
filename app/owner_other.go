//go:build !unix

package app

import "io/fs"

// trustedOwner is not implemented on this system.
func trustedOwner(string, fs.FileInfo, string) bool { return true }
