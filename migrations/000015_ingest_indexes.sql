-- Ingest of ten million keys: fewer and smaller index entries for each event (docs/adr/0021-ingest-in-batches.md has the numbers).

-- The format of a key tells its type (src/event/key-format.ts), so that a key has one type: one index by participant, key type and key
-- serves what two did.
ALTER TABLE dict_entries DROP CONSTRAINT dict_entries_pkey;
ALTER TABLE dict_entries ADD CONSTRAINT dict_entries_pkey PRIMARY KEY (participant, key_type, key);
DROP INDEX dict_entries_by_type;

-- A scan finds the rows of a bucket (the first two bytes of the CID) by it. Rows of a bucket share one entry of the index, which is a
-- seventh of that by the whole CID: most of its pages are changed again and again between two checkpoints, and logged in full once.
DROP INDEX dict_entries_by_cid;
CREATE INDEX dict_entries_by_bucket ON dict_entries ((get_byte(cid, 0) * 256 + get_byte(cid, 1))) WHERE cid IS NOT NULL;

-- Deleted keys have no account: they are not looked for by one.
DROP INDEX dict_entries_by_account;
CREATE INDEX dict_entries_by_account ON dict_entries (participant, account_number, branch) WHERE account_number IS NOT NULL;

-- An event is known by 16 bytes instead of up to 200 characters: a UUID in its usual form by itself, any other id by a UUID of version 8
-- made of its SHA-256. No UUID of version 8 stands for itself, so that the two kinds never meet. src/ingest/event-inbox.ts does the same.
ALTER TABLE event_inbox DROP CONSTRAINT event_inbox_event_id_check;
ALTER TABLE event_inbox ALTER COLUMN event_id TYPE uuid USING CASE
  WHEN event_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-79a-f][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN event_id::uuid
  ELSE overlay(overlay(substr(encode(sha256(convert_to(event_id, 'UTF8')), 'hex'), 1, 32)
    PLACING '8' FROM 13 FOR 1) PLACING '8' FROM 17 FOR 1)::uuid
END;

-- How many rows a bucket has is known from now on; else every bucket is taken for a two-hundredth of the table.
ANALYZE dict_entries;
