-- For the deletion of expired throttles.
-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS throttles_expires_ms;
CREATE INDEX CONCURRENTLY throttles_expires_ms ON throttles (expires_ms);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS throttles_expires_ms;
