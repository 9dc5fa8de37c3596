-- For the list of open invitations.
-- +goose Up
CREATE INDEX latchkey_links_open ON links (kind, id) WHERE used_at IS NULL;

-- +goose Down
DROP INDEX latchkey_links_open;
