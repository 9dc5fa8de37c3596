-- Mails to send, and the links in them. A link's token is computed from its ID with the server's secret, so neither table
-- holds it.
-- +goose Up
CREATE TABLE mails (
    id         text        NOT NULL PRIMARY KEY,
    kind       text        NOT NULL, -- the template
    recipient  text        NOT NULL, -- an address
    locale     text        NOT NULL, -- of the recipient: BCP 47; empty if unknown
    user_id    text,                 -- whom it is about, if known. Not a foreign key: the mail about a deletion outlives the user
    data       text        NOT NULL, -- JSON: what the template shows besides
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL, -- not sent after
    attempts   integer     NOT NULL,
    next_at    timestamptz,          -- when it may be tried next; null: sent or given up
    sent_at    timestamptz,
    error      text        NOT NULL  -- of the last attempt
);
CREATE INDEX mails_next_at ON mails (next_at);
CREATE INDEX mails_created_at ON mails (created_at);
CREATE INDEX mails_user_id ON mails (user_id);
CREATE INDEX mails_recipient ON mails (recipient);

CREATE TABLE links (
    id         text        NOT NULL PRIMARY KEY,
    kind       text        NOT NULL, -- what it allows: auth.LinkKind
    email      text        NOT NULL, -- the address to which it was sent, normalised
    user_id    text        REFERENCES users (id) ON DELETE CASCADE, -- whose account it changes; null: it makes one
    invited_by text        REFERENCES users (id) ON DELETE CASCADE,
    roles      text        NOT NULL, -- JSON list: of an invitation
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz           -- or revoked
);
CREATE INDEX links_email ON links (email, kind);
CREATE INDEX links_user_id ON links (user_id);
CREATE INDEX links_invited_by ON links (invited_by);
CREATE INDEX links_expires_at ON links (expires_at);

ALTER TABLE users ADD COLUMN locale text NOT NULL DEFAULT ''; -- BCP 47, as the user's client said; for mails

-- +goose Down
ALTER TABLE users DROP COLUMN locale;
DROP TABLE links;
DROP TABLE mails;
