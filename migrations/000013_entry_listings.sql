-- Listings of a participant's entries by pages: how far one is, which keys it has shown, and the hints that came of it. A listing is no
-- proof of anything (rule R17), so that its hints become divergences only through a reconciliation of their own rung.

CREATE TABLE entry_listings (
  -- Also the id of the report.
  id               uuid PRIMARY KEY,
  participant      text NOT NULL CHECK (participant ~ '^[0-9]{8}$'),
  sync_type        text NOT NULL CHECK (sync_type IN ('FULL', 'INCREMENTAL')),
  -- Entries that changed before are not listed; null for FULL.
  updated_since    timestamptz,
  state            text NOT NULL CHECK (state IN ('listing', 'comparing', 'reconciling', 'completed', 'partial', 'failed')),
  -- Pages read, and how many of the last ones showed no key that was new.
  pages            integer NOT NULL,
  barren_pages     integer NOT NULL,
  -- What the directory said last, and the most that it ever said; null before the first page.
  total_count      bigint,
  total_count_max  bigint,
  -- Different keys of the participant that were shown; entries of others, and entries that could not be read.
  entries_listed   bigint NOT NULL,
  foreign_entries  bigint NOT NULL,
  unreadable       bigint NOT NULL,
  -- Hints: keys that we do not have, have otherwise, have without RequestId; and keys of ours that were not shown.
  missing          bigint NOT NULL,
  outdated         bigint NOT NULL,
  unresolved       bigint NOT NULL,
  unlisted         bigint NOT NULL,
  -- The last of our keys that was looked for among those shown.
  compared_key     text,
  compared_keys    bigint NOT NULL,
  fencing_token    bigint NOT NULL,
  lease_owner      text,
  lease_until      timestamptz,
  paused_at        timestamptz,
  requested_by     text NOT NULL,
  authenticated    boolean NOT NULL,
  reason           text,
  started_at       timestamptz NOT NULL,
  updated_at       timestamptz NOT NULL,
  ended_at         timestamptz,
  CHECK ((ended_at IS NOT NULL) = (state IN ('completed', 'partial', 'failed'))),
  CHECK (sync_type = 'INCREMENTAL' OR updated_since IS NULL)
);

-- vsync-{ispb}: one open listing per participant.
CREATE UNIQUE INDEX entry_listings_open ON entry_listings (participant) WHERE ended_at IS NULL;
CREATE INDEX entry_listings_completed ON entry_listings (participant, started_at DESC) WHERE state = 'completed';

-- Keys that a listing has shown. Gone when it ends.
CREATE TABLE entry_listing_keys (
  listing_id uuid NOT NULL REFERENCES entry_listings,
  key        text NOT NULL,
  PRIMARY KEY (listing_id, key)
);

-- CIDs that are worth asking DICT about. Gone when the listing ends.
CREATE TABLE entry_listing_hints (
  listing_id uuid NOT NULL REFERENCES entry_listings,
  key_type   text NOT NULL,
  -- 'dict': what DICT would have, if the listing is right. 'local': what we have under a key that was not shown.
  side       text NOT NULL CHECK (side IN ('dict', 'local')),
  cid        bytea NOT NULL CHECK (octet_length(cid) = 32),
  due_at     timestamptz,
  PRIMARY KEY (listing_id, key_type, side, cid)
);

ALTER TABLE dict_reconciliations
  ADD COLUMN listing_id uuid REFERENCES entry_listings,
  ADD COLUMN listing_type text CHECK (listing_type IN ('FULL', 'INCREMENTAL')),
  ADD CHECK ((listing_id IS NULL) = (listing_type IS NULL)),
  DROP CONSTRAINT dict_reconciliations_rung_check,
  ADD CONSTRAINT dict_reconciliations_rung_check CHECK (rung IN ('listing', 'log', 'file', 'scan')),
  DROP CONSTRAINT dict_reconciliations_trigger_check,
  ADD CONSTRAINT dict_reconciliations_trigger_check CHECK (trigger IN ('verification', 'operator', 'listing'));

-- A listing reconciles each key type once.
CREATE UNIQUE INDEX dict_reconciliations_by_listing ON dict_reconciliations (listing_id, key_type) WHERE listing_id IS NOT NULL;

ALTER TABLE dict_divergences
  DROP CONSTRAINT dict_divergences_found_by_check,
  ADD CONSTRAINT dict_divergences_found_by_check CHECK (found_by IN ('listing', 'log', 'residual', 'file', 'scan', 'recheck'));
