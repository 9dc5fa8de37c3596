-- How often something failed, for a key that tells no name: lost with the machine, which does no harm.
-- +goose Up
CREATE TABLE throttles (
    key        text   NOT NULL PRIMARY KEY,
    failures   bigint NOT NULL,
    delay_ms   bigint NOT NULL, -- imposed after the last failure
    next_ms    bigint NOT NULL, -- when the next attempt is let through; milliseconds since 1970
    expires_ms bigint NOT NULL  -- when all is forgotten
);

-- +goose Down
DROP TABLE throttles;
