-- An index on the trigrams of the search text, for db.Users. It is built from PostgreSQL's own functions: the extension
-- pg_trgm may be missing or may not be created by this role, ignores punctuation, and in a database with the locale C
-- also all letters that are not ASCII.
-- +goose NO TRANSACTION
-- +goose Up
-- The cost keeps the planner from calling the function for each row instead of using the index.
CREATE OR REPLACE FUNCTION latchkey_trigrams(search_text text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000
    AS 'SELECT array_agg(substr(search_text, i, 3)) FROM generate_series(1, length(search_text) - 2) AS i';
-- Two line feeds before each line make the beginning of a line, even of one character, a trigram. Without fastupdate a
-- search does not have to read a list of pending entries.
DROP INDEX CONCURRENTLY IF EXISTS users_search;
CREATE INDEX CONCURRENTLY users_search ON users
    USING gin (latchkey_trigrams(chr(10) || chr(10) || replace(search_text, chr(10), chr(10) || chr(10))) COLLATE "C")
    WITH (fastupdate = off);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS users_search;
DROP FUNCTION IF EXISTS latchkey_trigrams;
