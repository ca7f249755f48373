-- Words by which messages are found: an inverted index of ordinary rows, the same on both databases. SQLite's FTS5 can
-- delete so that nothing is left only from 3.42 on (https://sqlite.org/fts5.html#the_secure_delete_configuration_option),
-- and Debian 12 has 3.40; ordinary rows go with their message, and are overwritten like any other.

CREATE TABLE search_entries (
    n          BIGINT PRIMARY KEY,             -- the order in which messages were accepted [row deleted]
    of_message TEXT NOT NULL UNIQUE REFERENCES email_messages (id) ON DELETE CASCADE -- [row deleted]
);
CREATE TABLE search_words (
    word TEXT /*PostgreSQL: COLLATE "C" */ NOT NULL, -- of subject, address, variables, notes [row deleted]
    n    BIGINT NOT NULL REFERENCES search_entries (n) ON DELETE CASCADE, -- [row deleted]
    PRIMARY KEY (word, n)
) /*SQLite: WITHOUT ROWID */;
CREATE INDEX search_words_of ON search_words (n);

-- How far the index has come: up to this message all are in it. No row: nothing is.
CREATE TABLE search_progress (
    id       INTEGER PRIMARY KEY CHECK (id = 1), -- there is one [kept]
    up_to_at TIMESTAMPTZ NOT NULL,             -- when that message was accepted [kept]
    up_to_id TEXT NOT NULL                     -- [kept]
);
