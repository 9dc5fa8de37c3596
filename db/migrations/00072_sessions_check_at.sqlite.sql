-- For finding expired sessions.
-- +goose Up
CREATE INDEX latchkey_sessions_check_at ON sessions (check_at) WHERE check_at IS NOT NULL;

-- +goose Down
DROP INDEX latchkey_sessions_check_at;
