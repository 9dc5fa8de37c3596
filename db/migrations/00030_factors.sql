-- Second factors, the codes that replace a lost one, and logins that wait for one.
-- +goose Up
CREATE TABLE factors (
    id           text        NOT NULL PRIMARY KEY,
    user_id      text        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind         text        NOT NULL, -- TOTP
    name         text        NOT NULL, -- as its owner calls it
    sealed       text        NOT NULL, -- the secret, under AES-256-GCM, base64
    created_at   timestamptz NOT NULL,
    confirmed_at timestamptz,          -- null: the user has not yet shown a code
    last_used_at timestamptz,
    last_step    bigint      NOT NULL  -- TOTP: the newest time step of which a code was used
);
CREATE INDEX factors_user_id ON factors (user_id, id);

CREATE TABLE recovery_codes (
    user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest  text NOT NULL, -- SHA-256, hexadecimal
    PRIMARY KEY (user_id, digest)
);

-- A row is a login whose first factor was right.
CREATE TABLE login_challenges (
    id         text        NOT NULL PRIMARY KEY,
    user_id    text        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    methods    text        NOT NULL, -- JSON list: how the first factor was proved
    attempts   integer     NOT NULL, -- codes that were tried
    expires_at timestamptz NOT NULL,
    -- Of a log-in by another provider:
    identity_id  text,
    provider_sid text      NOT NULL
);
CREATE INDEX login_challenges_user_id ON login_challenges (user_id);
CREATE INDEX login_challenges_expires_at ON login_challenges (expires_at);

-- +goose Down
DROP TABLE login_challenges;
DROP TABLE recovery_codes;
DROP TABLE factors;
