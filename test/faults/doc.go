// Package faults holds the proof that the program keeps its word when what is beneath it breaks: it runs as a
// real process, and it is killed, its disk fills up, PostgreSQL pauses or goes away, its database file is
// damaged. It has tests only.
//
// The promises under test: an acknowledged write is there afterwards; a token that cannot be checked is not
// believed; who fails says UNAVAILABLE and not what it is not; what was broken and is mended is used again
// without a restart; and a file that is no good database is left as it is.
//
// Faults that need privileges, such as a file system of their own, are skipped without them.
package faults
