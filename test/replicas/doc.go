// Package replicas holds the proof that what is taken back is taken back everywhere: several real latchkey
// processes on one real PostgreSQL, tokens in use on all of them, revocations through any of them, and faults
// beneath. It has tests only.
//
// The promise under test: a use of a token that starts later than the bound (2 s) after the acknowledgement of
// its revocation is refused by every process, or not answered, whatever happens to the network, the database
// or the processes. And nobody else is refused meanwhile.
//
// LATCHKEY_TEST_SEED repeats a run's choices; LATCHKEY_TEST_SOAK, a duration such as 1m, makes the quiet
// condition last as long.
package replicas
