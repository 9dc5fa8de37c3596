-- For the deletion of expired throttles.
-- +goose Up
CREATE INDEX latchkey_throttles_expires_ms ON throttles (expires_ms);

-- +goose Down
DROP INDEX latchkey_throttles_expires_ms;
