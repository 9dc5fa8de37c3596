-- Events of accounts. An event is written in the transaction that it records.
-- +goose Up
CREATE TABLE events (
    id         text        NOT NULL PRIMARY KEY, -- sorts by time
    kind       text        NOT NULL, -- auth.EventKind
    user_id    text,                 -- the account, if known. Not a foreign key: events outlive users
    actor_id   text,                 -- the user who caused it; null for an anonymous caller or the command line
    at         timestamptz NOT NULL,
    ip         text        NOT NULL,
    device     text        NOT NULL,
    request_id text        NOT NULL,
    object_id  text,                 -- the session, API token or key that it is about
    detail     text        NOT NULL  -- for people
);
CREATE INDEX events_user_id ON events (user_id, id);
CREATE INDEX events_at ON events (at);
CREATE INDEX sessions_ended_at ON sessions (ended_at);
CREATE INDEX users_updated_at ON users (updated_at);

-- +goose Down
DROP INDEX users_updated_at;
DROP INDEX sessions_ended_at;
DROP TABLE events;
