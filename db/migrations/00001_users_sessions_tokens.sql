-- Both databases run this file. SQLite accepts any type name and stores the value that it is given: times as sortable
-- UTC text, lists as JSON text. A unique index is named table_column (see errors.go).

-- +goose Up
CREATE TABLE users (
    id            text        NOT NULL PRIMARY KEY,
    username      text        NOT NULL, -- as written
    username_key  text        NOT NULL, -- as compared: auth.UsernameKey
    email         text,                 -- normalised
    name          text,
    password_hash text        NOT NULL, -- PHC string; empty: no login by password
    roles         text        NOT NULL, -- JSON list of role names
    search_text   text        NOT NULL, -- lower case user name, e-mail and name, one a line
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    last_login_at timestamptz,
    disabled_at   timestamptz
);
CREATE UNIQUE INDEX users_username_key ON users (username_key);
CREATE UNIQUE INDEX users_email ON users (email);

-- A row is one login. Access tokens contain its id, refresh tokens its id and generation.
CREATE TABLE sessions (
    id              text        NOT NULL PRIMARY KEY,
    user_id         text        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device          text        NOT NULL, -- User-Agent at login
    ip              text        NOT NULL, -- client address at login or last refresh
    login_network   text        NOT NULL, -- client address at login; for IPv6, the /64
    generation      integer     NOT NULL, -- of the newest refresh token
    seen_generation integer     NOT NULL, -- newest generation that the client provably received
    created_at      timestamptz NOT NULL,
    rotated_at      timestamptz NOT NULL, -- login or last refresh
    idle_at         timestamptz NOT NULL, -- ends then unless refreshed before
    expires_at      timestamptz NOT NULL, -- ends then at the latest
    ended_at        timestamptz,
    ended_because   text
);
CREATE INDEX sessions_user_id ON sessions (user_id, id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE api_tokens (
    id           text        NOT NULL PRIMARY KEY,
    user_id      text        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         text        NOT NULL,
    digest       text        NOT NULL, -- "sha256:" and hex; the token itself is not stored
    scopes       text        NOT NULL, -- JSON list
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE UNIQUE INDEX api_tokens_digest ON api_tokens (digest);
CREATE INDEX api_tokens_user_id ON api_tokens (user_id, id);

CREATE TABLE signing_keys (
    id          text        NOT NULL PRIMARY KEY, -- the JWK's kid
    algorithm   text        NOT NULL,
    public_key  text        NOT NULL, -- PKIX, base64
    sealed_key  text        NOT NULL, -- PKCS #8 under AES-256-GCM, base64
    created_at  timestamptz NOT NULL,
    active_at   timestamptz NOT NULL, -- signs from then on, so that verifiers have time to fetch it before
    retired_at  timestamptz           -- not trusted from then on
);

-- +goose Down
DROP TABLE signing_keys;
DROP TABLE api_tokens;
DROP TABLE sessions;
DROP TABLE users;
