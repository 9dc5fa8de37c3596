-- What recovery from a theft needs.
-- +goose Up
-- When the session last proved the password. The default is for processes of the version before, which do not
-- write it while a rolling update is under way: such sessions count as never having proved it.
ALTER TABLE sessions ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT '1970-01-01T00:00:00.000000Z';
UPDATE sessions SET authenticated_at = created_at;

CREATE INDEX events_actor_id ON events (actor_id, id);

-- Deleted users, until no access token of theirs can be valid any more: verifying services are told of them.
CREATE TABLE deleted_users (
    id         text        NOT NULL PRIMARY KEY,
    deleted_at timestamptz NOT NULL
);

-- When old rows were last deleted: a clock that has jumped since must not delete what is not old.
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
