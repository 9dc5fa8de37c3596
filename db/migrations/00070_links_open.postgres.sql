-- For the list of open invitations.
-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS latchkey_links_open;
CREATE INDEX CONCURRENTLY latchkey_links_open ON links (kind, id) WHERE used_at IS NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS latchkey_links_open;
