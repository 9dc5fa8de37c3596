-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS latchkey_events_user_id_kind;
CREATE INDEX CONCURRENTLY latchkey_events_user_id_kind ON events (user_id, kind, id);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS latchkey_events_user_id_kind;
