/* The tables. A version that was released is never changed: a new row is added at the end.
 *
 * files.id is folder * 2^24 + a number within the folder: the files of a folder lie beside each other and are found by their range
 * of ids, so that the largest table needs no index (half the bytes, and twice the speed of listing). Names within a folder are
 * unique because only the scan adds files, under the write lock; sm_store_check looks. */
#include "library/store_internal.h"

static const char *const versions[] = {
    "CREATE TABLE folders (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);"
    "CREATE TABLE contents ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, audio_hash BLOB NOT NULL, duration_s REAL,"
    " pipeline INTEGER NOT NULL, parts TEXT);"
    "CREATE INDEX contents_audio ON contents (audio_hash);"
    "CREATE TABLE files ("
    " id INTEGER PRIMARY KEY, name BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,"
    " state INTEGER NOT NULL, added_s INTEGER NOT NULL, content INTEGER REFERENCES contents ON DELETE SET NULL,"
    " reason TEXT);"
    "CREATE INDEX files_content ON files (content) WHERE content IS NOT NULL;"
    "CREATE TABLE records (content INTEGER PRIMARY KEY REFERENCES contents ON DELETE CASCADE, json BLOB NOT NULL);"
    "CREATE TABLE properties (content INTEGER PRIMARY KEY REFERENCES contents ON DELETE CASCADE);"
    "CREATE TABLE models ("
    " id INTEGER PRIMARY KEY, name TEXT NOT NULL, weights TEXT NOT NULL, classes TEXT, UNIQUE (name, weights));"
    "CREATE TABLE outputs ("
    " content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, model INTEGER NOT NULL REFERENCES models,"
    " scores BLOB, PRIMARY KEY (content, model)) WITHOUT ROWID;"
    "CREATE TABLE spaces ("
    " id INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, dims INTEGER NOT NULL,"
    " UNIQUE (name, version));"
    "CREATE TABLE embeddings ("
    " content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, space INTEGER NOT NULL REFERENCES spaces,"
    " vector BLOB NOT NULL, UNIQUE (space, content));"
    "CREATE INDEX embeddings_content ON embeddings (content);"
    "CREATE TABLE corrections ("
    " content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, field TEXT NOT NULL, value TEXT NOT NULL,"
    " time_s REAL NOT NULL, PRIMARY KEY (content, field)) WITHOUT ROWID;"
    "CREATE TABLE tags ("
    " content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, tag TEXT NOT NULL, by TEXT NOT NULL,"
    " PRIMARY KEY (content, tag, by)) WITHOUT ROWID;"
    "CREATE TABLE collections (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE collection_items ("
    " collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,"
    " content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, PRIMARY KEY (collection, content)) WITHOUT ROWID;"
    "CREATE INDEX collection_items_content ON collection_items (content);"
    "CREATE TABLE favourites (content INTEGER PRIMARY KEY REFERENCES contents ON DELETE CASCADE, time_s REAL NOT NULL);"
    "CREATE TABLE fingerprints ("
    " content INTEGER PRIMARY KEY REFERENCES contents ON DELETE CASCADE, version INTEGER NOT NULL, print BLOB NOT "
    "NULL);"
    "CREATE TABLE positions ("
    " content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE, layout TEXT NOT NULL, x REAL NOT NULL,"
    " y REAL NOT NULL, PRIMARY KEY (layout, content)) WITHOUT ROWID;"
    "CREATE INDEX positions_content ON positions (content);"
    "CREATE TABLE journal (id INTEGER PRIMARY KEY AUTOINCREMENT, time_s REAL NOT NULL, what TEXT NOT NULL, json TEXT "
    "NOT NULL);"
    "CREATE TABLE roots (path BLOB PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;",
    /* Searching: the words of names, folders and tags; and columns, blocks of one value of 4,096 contents, from which a query is
     * answered without reading a row for each. Both are made from the other tables (store_columns.c); `stale` lists the contents
     * for which that is to be done again, and the triggers keep that list whoever writes. */
    "CREATE VIRTUAL TABLE words USING fts5 (tags, description, name, folder, columnsize = 0, prefix = '2 3',"
    " tokenize = \"unicode61 remove_diacritics 2 tokenchars '#'\");"
    "CREATE TABLE columns (id INTEGER PRIMARY KEY, data BLOB NOT NULL);" /* id: field * 2^32 + block */
    "CREATE TABLE column_fields (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE column_texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
    "CREATE TABLE stale (content INTEGER PRIMARY KEY);"
    "CREATE INDEX tags_tag ON tags (tag COLLATE NOCASE);"
    "CREATE TRIGGER stale_file_new AFTER INSERT ON files WHEN new.content IS NOT NULL BEGIN"
    " INSERT OR IGNORE INTO stale VALUES (new.content); END;"
    "CREATE TRIGGER stale_file_gone AFTER DELETE ON files WHEN old.content IS NOT NULL BEGIN"
    " INSERT OR IGNORE INTO stale VALUES (old.content); END;"
    "CREATE TRIGGER stale_file AFTER UPDATE OF content, state, name ON files"
    " WHEN old.content IS NOT new.content OR old.state != new.state OR old.name != new.name BEGIN"
    " INSERT OR IGNORE INTO stale SELECT old.content WHERE old.content IS NOT NULL;"
    " INSERT OR IGNORE INTO stale SELECT new.content WHERE new.content IS NOT NULL; END;"
    "CREATE TRIGGER stale_folder AFTER UPDATE OF path ON folders BEGIN"
    " INSERT OR IGNORE INTO stale SELECT content FROM files"
    " WHERE id >= new.id << 24 AND id < (new.id + 1) << 24 AND content IS NOT NULL; END;"
    "CREATE TRIGGER stale_new AFTER INSERT ON properties BEGIN INSERT OR IGNORE INTO stale VALUES (new.content); END;"
    "CREATE TRIGGER stale_changed AFTER UPDATE ON properties BEGIN INSERT OR IGNORE INTO stale VALUES (new.content); "
    "END;"
    "CREATE TRIGGER stale_removed AFTER DELETE ON contents BEGIN INSERT OR IGNORE INTO stale VALUES (old.id); END;"
    "CREATE TRIGGER stale_output AFTER INSERT ON outputs BEGIN INSERT OR IGNORE INTO stale VALUES (new.content); END;"
    "CREATE TRIGGER stale_no_output AFTER DELETE ON outputs BEGIN INSERT OR IGNORE INTO stale VALUES (old.content); "
    "END;"
    "CREATE TRIGGER stale_tag AFTER INSERT ON tags BEGIN INSERT OR IGNORE INTO stale VALUES (new.content); END;"
    "CREATE TRIGGER stale_no_tag AFTER DELETE ON tags BEGIN INSERT OR IGNORE INTO stale VALUES (old.content); END;",
};

/* "SMLB" */
const sql_kind store_kind = { .noun = "library",
                              .how_to_make = "samplemind scan DIR makes one",
                              .application_id = 0x534d4c42,
                              .versions = versions,
                              .newest = (int)SM_LENGTH(versions) };
