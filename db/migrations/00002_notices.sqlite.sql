-- What other processes on the same file must forget, in commit order: SQLite's answer to NOTIFY.
-- +goose Up
CREATE TABLE notices (
    seq     integer PRIMARY KEY AUTOINCREMENT,
    payload text    NOT NULL
);

-- +goose Down
DROP TABLE notices;
