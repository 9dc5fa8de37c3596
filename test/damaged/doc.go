// Package damaged sends a running `latchkey serve` what untrusted clients may send: good requests, damaged at random in their
// bytes, their JSON, their GraphQL, their tokens, their HTTP and their WebSocket frames. It has tests only.
//
// Whatever comes, every answer is one of ours: no fault of the server, nothing of what is inside, soon; the process
// lives and has not panicked; and afterwards users log in, and all that was stored is as it was.
//
// The choices follow from a seed, which is printed; LATCHKEY_TEST_SEED repeats them. (What the server makes at random,
// such as tokens, differs.) Each database gets five seconds, or as long as LATCHKEY_TEST_FUZZ says: 10m.
package damaged
