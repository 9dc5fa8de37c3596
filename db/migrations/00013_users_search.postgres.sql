-- An index on the trigrams of the search text, for db.Users. It is built from PostgreSQL's own functions: the extension
-- pg_trgm may be missing or may not be created by this role, ignores punctuation, and in a database with the locale C
-- also all letters that are not ASCII.
-- +goose NO TRANSACTION
-- +goose Up
CREATE OR REPLACE FUNCTION latchkey_trigrams(search_text text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT array_agg(substr(search_text, i, 3)) FROM generate_series(1, length(search_text) - 2) AS i';
-- Two line feeds before each line make the beginning of a line, even of one character, a trigram. Without fastupdate a
-- search does not have to read a list of pending entries.
DROP INDEX CONCURRENTLY IF EXISTS latchkey_users_search;
CREATE INDEX CONCURRENTLY latchkey_users_search ON users
    USING gin (latchkey_trigrams(chr(10) || chr(10) || replace(search_text, chr(10), chr(10) || chr(10))) COLLATE "C")
    WITH (fastupdate = off);
-- A function, because its settings make the planner use the index: computing the trigrams of many rows takes seconds, which
-- is not in its costs.
CREATE OR REPLACE FUNCTION latchkey_search_users(wanted text) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT ROWS 5 SET enable_seqscan = off SET jit = off SET work_mem = '64MB'
    AS 'SELECT id FROM users WHERE latchkey_trigrams(chr(10) || chr(10) || replace(search_text, chr(10), chr(10) || chr(10)))
        COLLATE "C" @> latchkey_trigrams(wanted)';

-- +goose Down
DROP FUNCTION IF EXISTS latchkey_search_users;
DROP INDEX CONCURRENTLY IF EXISTS latchkey_users_search;
DROP FUNCTION IF EXISTS latchkey_trigrams;
