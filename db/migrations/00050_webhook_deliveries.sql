-- Deliveries of webhooks: those that are due or waiting for another attempt have next_at, the others have ended.
-- +goose Up
CREATE TABLE webhook_deliveries (
    id           text        NOT NULL PRIMARY KEY,
    event_id     text        NOT NULL, -- webhook-id: the same for each attempt, and for each URL
    url          text        NOT NULL,
    type         text        NOT NULL, -- such as user.created
    body         text        NOT NULL, -- JSON
    created_at   timestamptz NOT NULL,
    attempts     integer     NOT NULL DEFAULT 0,
    next_at      timestamptz,          -- the next attempt; during an attempt, when another process may take over
    delivered_at timestamptz,
    failed_at    timestamptz,          -- given up
    error        text        NOT NULL DEFAULT '' -- of the last attempt
);
CREATE INDEX latchkey_webhooks_due ON webhook_deliveries (url, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX latchkey_webhooks_delivered ON webhook_deliveries (delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX latchkey_webhooks_failed ON webhook_deliveries (failed_at) WHERE failed_at IS NOT NULL;

-- +goose Down
DROP TABLE webhook_deliveries;
