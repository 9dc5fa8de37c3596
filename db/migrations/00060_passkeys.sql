-- Passkeys, each of which is a row of factors too, and the challenges that were answered by one.
-- +goose Up
CREATE TABLE passkeys (
    factor_id       text    NOT NULL PRIMARY KEY REFERENCES factors (id) ON DELETE CASCADE,
    credential_id   text    NOT NULL, -- base64url
    public_key      text    NOT NULL, -- COSE_Key, base64url
    sign_count      bigint  NOT NULL, -- of the last use; 0: the authenticator does not count
    backup_eligible boolean NOT NULL, -- whether it may be copied to other devices of the user; this never changes
    backed_up       boolean NOT NULL, -- whether it was, at the last use
    transports      text    NOT NULL, -- JSON list
    aaguid          text    NOT NULL, -- the model of the authenticator, as it claims; base64url
    verified        boolean NOT NULL, -- whether it has verified its user when it was added, or beside a password since
    logs_in         boolean NOT NULL  -- whether it can log in alone: it can be discovered and verifies its user
);
CREATE UNIQUE INDEX passkeys_credential_id ON passkeys (credential_id);

-- A challenge is stored when it was answered, so that it is not answered again. Those that wait are not stored: they carry a MAC.
CREATE TABLE passkey_challenges (
    digest     text        NOT NULL PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX passkey_challenges_expires_at ON passkey_challenges (expires_at);

-- +goose Down
DROP TABLE passkey_challenges;
DROP TABLE passkeys;
DELETE FROM factors WHERE kind = 'PASSKEY';
