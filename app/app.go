// Package app is the program latchkey as a library: its settings, its commands, and the server that they start. It
// reads settings and connects the other packages; it decides nothing itself.
package app
