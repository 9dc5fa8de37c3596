-- For the deletion of expired throttles.
-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS latchkey_throttles_expires_ms;
CREATE INDEX CONCURRENTLY latchkey_throttles_expires_ms ON throttles (expires_ms);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS latchkey_throttles_expires_ms;
