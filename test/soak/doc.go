// Package soak runs `latchkey serve` under mixed load, and checks that nothing accumulates: memory, goroutines, open files.
// Every response must be the expected one. It has tests only.
//
// Each database gets ten seconds, or as long as LATCHKEY_TEST_SOAK says: 1h. A fifth of that time warms the server up: its
// caches fill, and its connections to the database open.
package soak
