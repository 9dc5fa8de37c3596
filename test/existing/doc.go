// Package existing holds that a gqlgen project which has users, tokens and directives of its own adopts Latchkey with few
// changed lines. The project is in before; adopt.diff, close.diff and new-users.diff are the changes, one after the other,
// which docs/existing-project.md shows. The test makes them in a copy and asks its servers.
//
// To change a diff: make the changes before it in a copy of before, commit, edit, and write `git diff` over it.
package existing
