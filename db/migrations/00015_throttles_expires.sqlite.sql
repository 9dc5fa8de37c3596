-- For the deletion of expired throttles.
-- +goose Up
CREATE INDEX throttles_expires_ms ON throttles (expires_ms);

-- +goose Down
DROP INDEX throttles_expires_ms;
