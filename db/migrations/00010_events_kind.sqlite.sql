-- Indexes for the audit log's filter by kind.
-- +goose Up
CREATE INDEX events_kind ON events (kind, id);
CREATE INDEX events_user_id_kind ON events (user_id, kind, id);
CREATE INDEX events_actor_id_kind ON events (actor_id, kind, id);

-- +goose Down
DROP INDEX events_actor_id_kind;
DROP INDEX events_user_id_kind;
DROP INDEX events_kind;
