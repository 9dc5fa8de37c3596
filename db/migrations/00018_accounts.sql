-- What a user has proved: an e-mail address, and in each session how the user logged in.
-- +goose Up
ALTER TABLE users ADD COLUMN email_verified_at timestamptz;
ALTER TABLE sessions ADD COLUMN methods text NOT NULL DEFAULT '["pwd"]'; -- JSON list: `amr` of RFC 8176

-- +goose Down
ALTER TABLE sessions DROP COLUMN methods;
ALTER TABLE users DROP COLUMN email_verified_at;
