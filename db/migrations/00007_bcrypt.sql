-- Imported users whose passwords still have a bcrypt hash: each process reads the highest cost when it starts.
-- +goose Up
CREATE INDEX users_bcrypt ON users (substr(password_hash, 5, 2)) WHERE substr(password_hash, 1, 2) = '$2';
-- +goose Down
DROP INDEX users_bcrypt;
