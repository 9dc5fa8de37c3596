-- Columns and tables for recovery from stolen credentials.
-- +goose Up
-- When the password was last verified in the session. The default is for processes of the previous version, which do not
-- write the column during a rolling update: their sessions count as never verified.
ALTER TABLE sessions ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT '1970-01-01T00:00:00.000000Z';
UPDATE sessions SET authenticated_at = created_at;

CREATE INDEX events_actor_id ON events (actor_id, id);

-- Deleted users, until all their access tokens have expired, so that other services learn of the deletions.
CREATE TABLE deleted_users (
    id         text        NOT NULL PRIMARY KEY,
    deleted_at timestamptz NOT NULL
);

-- When old rows were last deleted, so that a clock that jumps forward does not make recent rows look old.
CREATE TABLE housekeeping (
    name         text        NOT NULL PRIMARY KEY,
    at           timestamptz NOT NULL,
    paused_until timestamptz
);

-- +goose Down
DROP TABLE housekeeping;
DROP TABLE deleted_users;
DROP INDEX events_actor_id;
ALTER TABLE sessions DROP COLUMN authenticated_at;
