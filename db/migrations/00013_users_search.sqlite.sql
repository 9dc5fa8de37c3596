-- An index on the trigrams of the search text, for db.Users. Triggers keep it up to date. Two line feeds before each line
-- make the beginning of a line, even of one character, a trigram.
-- +goose Up
-- The rowids of users cannot be used, because VACUUM may change them.
CREATE TABLE latchkey_user_numbers (
    number  integer PRIMARY KEY,
    user_id text    NOT NULL UNIQUE
);
CREATE VIRTUAL TABLE latchkey_users_search USING fts5 (
    search_text, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);
-- +goose StatementBegin
CREATE TRIGGER latchkey_users_search_insert AFTER INSERT ON users BEGIN
    INSERT INTO latchkey_user_numbers (user_id) VALUES (new.id);
    INSERT INTO latchkey_users_search (rowid, search_text)
        SELECT number, char(10, 10) || replace(new.search_text, char(10), char(10, 10)) FROM latchkey_user_numbers WHERE user_id = new.id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER latchkey_users_search_update AFTER UPDATE OF search_text ON users WHEN new.search_text <> old.search_text BEGIN
    UPDATE latchkey_users_search SET search_text = char(10, 10) || replace(new.search_text, char(10), char(10, 10))
        WHERE rowid = (SELECT number FROM latchkey_user_numbers WHERE user_id = new.id);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER latchkey_users_search_delete AFTER DELETE ON users BEGIN
    DELETE FROM latchkey_users_search WHERE rowid = (SELECT number FROM latchkey_user_numbers WHERE user_id = old.id);
    DELETE FROM latchkey_user_numbers WHERE user_id = old.id;
END;
-- +goose StatementEnd
INSERT INTO latchkey_user_numbers (user_id) SELECT id FROM users;
INSERT INTO latchkey_users_search (rowid, search_text)
    SELECT n.number, char(10, 10) || replace(u.search_text, char(10), char(10, 10)) FROM latchkey_user_numbers n JOIN users u ON u.id = n.user_id;

-- +goose Down
DROP TRIGGER latchkey_users_search_delete;
DROP TRIGGER latchkey_users_search_update;
DROP TRIGGER latchkey_users_search_insert;
DROP TABLE latchkey_users_search;
DROP TABLE latchkey_user_numbers;
