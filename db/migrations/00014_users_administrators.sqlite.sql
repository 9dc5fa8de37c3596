-- For db.CountUsers, which counts the administrators before one is removed.
-- +goose Up
CREATE INDEX latchkey_users_administrators ON users (id) WHERE disabled_at IS NULL AND roles LIKE '%"ADMIN"%';

-- +goose Down
DROP INDEX latchkey_users_administrators;
