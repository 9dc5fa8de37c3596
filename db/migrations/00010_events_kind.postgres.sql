-- Indexes for the audit log's filter by kind, each in a migration of its own. CONCURRENTLY lets servers go on writing while
-- the index is built, and cannot run in a transaction. If it is interrupted, it leaves an invalid index, which the next
-- attempt drops. The name is one that no other table has: DROP INDEX looks for it in all schemas of the search path.
-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS latchkey_events_kind;
CREATE INDEX CONCURRENTLY latchkey_events_kind ON events (kind, id);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS latchkey_events_kind;
