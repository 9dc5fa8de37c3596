-- Indexes for the audit log's filter by kind.
-- +goose Up
CREATE INDEX latchkey_events_kind ON events (kind, id);
CREATE INDEX latchkey_events_user_id_kind ON events (user_id, kind, id);
CREATE INDEX latchkey_events_actor_id_kind ON events (actor_id, kind, id);

-- +goose Down
DROP INDEX latchkey_events_actor_id_kind;
DROP INDEX latchkey_events_user_id_kind;
DROP INDEX latchkey_events_kind;
