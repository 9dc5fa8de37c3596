// Package scale measures that reads stay as fast when the tables grow. Its test fills a database of each kind for each
// size, measures each read on all of them in turn, and prints a table of the ratios to the smallest. It asserts what the
// reads return, and never how long they take.
//
// Without settings the sizes are small, so that the test takes seconds. `make scale` sets larger ones: see the Makefile.
package scale
