-- For db.CountUsers, which counts the administrators before one is removed.
-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS latchkey_users_administrators;
CREATE INDEX CONCURRENTLY latchkey_users_administrators ON users (id) WHERE disabled_at IS NULL AND roles LIKE '%"ADMIN"%';

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS latchkey_users_administrators;
