-- When housekeeping looks whether a session has expired, to record it. Sessions from before have none and expire without an event.
-- +goose Up
ALTER TABLE sessions ADD COLUMN check_at timestamptz; -- null: never again, as when its end was recorded

-- +goose Down
ALTER TABLE sessions DROP COLUMN check_at;
