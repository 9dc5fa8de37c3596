-- Imported users whose passwords still have a hash of bcrypt: the start of each process looks for the highest cost.
-- +goose Up
CREATE INDEX users_bcrypt ON users (substr(password_hash, 5, 2)) WHERE substr(password_hash, 1, 2) = '$2';
-- +goose Down
DROP INDEX users_bcrypt;
