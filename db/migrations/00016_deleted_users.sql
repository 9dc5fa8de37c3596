-- The table holds the deletions of one day, so that an index is built at once.
-- +goose Up
CREATE INDEX deleted_users_deleted_at ON deleted_users (deleted_at);

-- +goose Down
DROP INDEX deleted_users_deleted_at;
