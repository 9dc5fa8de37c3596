-- Changes that other processes on the same file must learn of, in commit order: a replacement for NOTIFY.
-- +goose Up
CREATE TABLE notices (
    seq     integer PRIMARY KEY AUTOINCREMENT,
    payload text    NOT NULL
);

-- +goose Down
DROP TABLE notices;
