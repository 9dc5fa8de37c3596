-- Indexes for the audit log's filter by kind, each in a migration of its own. CONCURRENTLY lets servers go on writing while
-- the index is built, and cannot run in a transaction. If it is interrupted, it leaves an invalid index, which the next
-- attempt drops.
-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS events_kind;
CREATE INDEX CONCURRENTLY events_kind ON events (kind, id);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS events_kind;
