-- For finding expired sessions.
-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS latchkey_sessions_check_at;
CREATE INDEX CONCURRENTLY latchkey_sessions_check_at ON sessions (check_at) WHERE check_at IS NOT NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS latchkey_sessions_check_at;
