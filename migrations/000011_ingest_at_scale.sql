-- Ingest of millions of keys: fewer index entries for each event, and parameters that carry whole rows.

-- Rows as one parameter, in the order in which the program packs them (src/ingest/entry-store.ts, src/vsync/cid-history.ts).
CREATE TYPE dict_entry_row AS (
  participant               text,
  key                       text,
  key_type                  text,
  status                    text,
  cid                       bytea,
  branch                    text,
  account_number            text,
  account_type              text,
  account_opened_at         timestamptz,
  owner_type                text,
  owner_tax_id              text,
  owner_name                text,
  owner_trade_name          text,
  request_id                uuid,
  request_id_since          timestamptz,
  registered_at             timestamptz,
  participant_registered_at timestamptz,
  external_id               text,
  synced_from               text,
  orphaned_at               timestamptz,
  occurred_at               timestamptz,
  event_action              text,
  seq                       bigint,
  updated_at                timestamptz
);

CREATE TYPE dict_cid_row AS (
  participant text,
  key_type    text,
  cid         bytea,
  key         text,
  seq         bigint,
  at          timestamptz,
  algorithm   text
);

-- By key first: an index that began with the participant was taken for look-ups by CID wherever the planner knew nothing of the
-- table (an empty base), and then read every CID of the participant for each CID.
DROP INDEX dict_cids_by_key;
CREATE INDEX dict_cids_by_key ON dict_cids (key, participant);

-- Rows of a page come in one after the other: a summary of ranges finds the old ones, and costs an insert next to nothing.
DROP INDEX event_inbox_by_time;
CREATE INDEX event_inbox_by_time ON event_inbox USING brin (received_at) WITH (pages_per_range = 32);

-- Room for the next version of a row in its own page: an update that leaves the indexed columns alone touches no index.
ALTER TABLE dict_entries SET (fillfactor = 80);
ALTER TABLE dict_cids SET (fillfactor = 85);

-- Digests cannot be compressed; not even trying saves the time of it.
ALTER TABLE dict_vsync_changes ALTER COLUMN changes SET STORAGE EXTERNAL;
ALTER TABLE dict_vsync_buckets ALTER COLUMN xors SET STORAGE EXTERNAL;
