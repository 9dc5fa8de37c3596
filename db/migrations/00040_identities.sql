-- Log-in by other providers: which of their users are ours, and the log-ins that have begun.
-- +goose Up
CREATE TABLE identities (
    id           text        NOT NULL PRIMARY KEY,
    user_id      text        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key          text        NOT NULL, -- hash of provider, issuer and subject: see IdentityKey
    provider     text        NOT NULL, -- name in the settings
    issuer       text        NOT NULL,
    subject      text        NOT NULL,
    email        text,                 -- as the provider last wrote it, for users to tell their identities apart
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX identities_key ON identities (key);
CREATE INDEX identities_user_id ON identities (user_id, id);

-- A row is deleted when the log-in is completed. Nonce and PKCE verifier are not stored: they follow from the client's secret.
CREATE TABLE provider_logins (
    digest       text        NOT NULL PRIMARY KEY, -- of state and the client's secret
    provider     text        NOT NULL,
    redirect_uri text        NOT NULL,
    session_id   text        NOT NULL, -- that links an identity; empty: a log-in
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);
CREATE INDEX provider_logins_expires_at ON provider_logins (expires_at);

ALTER TABLE sessions ADD COLUMN provider text;     -- that the user logged in by; null: none
ALTER TABLE sessions ADD COLUMN provider_sid text; -- the provider's own session

-- +goose Down
ALTER TABLE sessions DROP COLUMN provider_sid;
ALTER TABLE sessions DROP COLUMN provider;
DROP TABLE provider_logins;
DROP TABLE identities;
