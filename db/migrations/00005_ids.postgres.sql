-- Compare IDs byte by byte whatever the database's collation, because lists are paged by ID and in some languages z does
-- not sort after t. SQLite compares text byte by byte by default.
-- +goose Up
ALTER TABLE users ALTER COLUMN id TYPE text COLLATE "C";
ALTER TABLE sessions ALTER COLUMN id TYPE text COLLATE "C", ALTER COLUMN user_id TYPE text COLLATE "C";
ALTER TABLE api_tokens ALTER COLUMN id TYPE text COLLATE "C", ALTER COLUMN user_id TYPE text COLLATE "C";
ALTER TABLE events ALTER COLUMN id TYPE text COLLATE "C", ALTER COLUMN user_id TYPE text COLLATE "C",
    ALTER COLUMN actor_id TYPE text COLLATE "C", ALTER COLUMN object_id TYPE text COLLATE "C";
ALTER TABLE signing_keys ALTER COLUMN id TYPE text COLLATE "C";

-- +goose Down
ALTER TABLE signing_keys ALTER COLUMN id TYPE text;
ALTER TABLE events ALTER COLUMN id TYPE text, ALTER COLUMN user_id TYPE text, ALTER COLUMN actor_id TYPE text, ALTER COLUMN object_id TYPE text;
ALTER TABLE api_tokens ALTER COLUMN id TYPE text, ALTER COLUMN user_id TYPE text;
ALTER TABLE sessions ALTER COLUMN id TYPE text, ALTER COLUMN user_id TYPE text;
ALTER TABLE users ALTER COLUMN id TYPE text;
