-- Counts of failed attempts, by a key that does not reveal names. Unlogged: losing the counts in a crash is harmless.
-- +goose Up
CREATE UNLOGGED TABLE throttles (
    key        text   NOT NULL PRIMARY KEY,
    failures   bigint NOT NULL,
    delay_ms   bigint NOT NULL, -- imposed after the last failure
    next_ms    bigint NOT NULL, -- when the next attempt is allowed; milliseconds since 1970
    expires_ms bigint NOT NULL  -- when the failures are forgotten
);

-- +goose Down
DROP TABLE throttles;
