-- +goose Up
CREATE TABLE orders (
    id text NOT NULL PRIMARY KEY,
    user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    item text NOT NULL,
    placed_at timestamptz NOT NULL,
    shipped_at timestamptz
);
CREATE INDEX orders_by_user ON orders (user_id, id);
ALTER TABLE users ADD COLUMN points integer NOT NULL DEFAULT 0;
