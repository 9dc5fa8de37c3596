-- What happened to accounts: written in the transaction of what it records.
-- +goose Up
CREATE TABLE events (
    id         text        NOT NULL PRIMARY KEY, -- sorts by time
    kind       text        NOT NULL, -- auth.EventKind
    user_id    text,                 -- whose account; null where none is known. No reference: events outlive users
    actor_id   text,                 -- who did it; null: nobody known, or the command line
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
