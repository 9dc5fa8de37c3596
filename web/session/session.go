// Package session has the script that keeps a session in the embedded pages: it logs in, refreshes and logs out.
package session

import _ "embed"

// Script is JavaScript that defines the function LatchkeySession.
//
//go:embed session.js
var Script []byte
