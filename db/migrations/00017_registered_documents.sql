-- GraphQL documents that clients may run where LATCHKEY_DOCUMENTS is registered.
-- +goose Up
CREATE TABLE registered_documents (
    id         text        NOT NULL PRIMARY KEY, -- the client's own; the hash if it has none
    hash       text        NOT NULL,             -- SHA-256 of the text, 64 lower-case hexadecimal digits
    body       text        NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX registered_documents_hash ON registered_documents (hash);

-- +goose Down
DROP TABLE registered_documents;
