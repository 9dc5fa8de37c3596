// Package operations holds the proof of what operators do on purpose and of what happens to them: real latchkey
// processes are restarted one after the other behind a real haproxy, and the primary of a replicated PostgreSQL
// is lost. It has tests only, and haproxy.cfg.tmpl, the configuration to start from.
package operations
