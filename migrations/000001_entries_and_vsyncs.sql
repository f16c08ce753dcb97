-- The base itself: entries, every CID they ever had, and the VSync of each participant and key type.
-- Timestamps are UTC and written by the program: no defaults, no triggers.

CREATE TABLE dict_participants (
  participant        text PRIMARY KEY CHECK (participant ~ '^[0-9]{8}$'),
  cid_algorithm      text NOT NULL CHECK (cid_algorithm IN ('dict', 'canonical-json-1.0')),
  -- What happens to a key that only exists here, once proven: 'review' marks it ORPHANED and asks a person, 'remove' deletes it.
  orphan_policy      text NOT NULL CHECK (orphan_policy IN ('review', 'remove')),
  -- Null: the configured default.
  approval_threshold integer CHECK (approval_threshold >= 0),
  critical_threshold integer CHECK (critical_threshold >= 0),
  created_at         timestamptz NOT NULL,
  updated_at         timestamptz NOT NULL
);

-- One row per participant and key, DELETED rows being tombstones that remember when. Only ACTIVE rows count in the VSync.
CREATE TABLE dict_entries (
  participant               text NOT NULL CHECK (participant ~ '^[0-9]{8}$'),
  key                       text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 77),
  key_type                  text NOT NULL,
  status                    text NOT NULL CHECK (status IN ('ACTIVE', 'UNRESOLVED', 'ORPHANED', 'PENDING', 'DELETED')),
  cid                       bytea CHECK (octet_length(cid) = 32),
  branch                    text,
  account_number            text,
  account_type              text,
  account_opened_at         timestamptz,
  owner_type                text,
  owner_tax_id              text,
  owner_name                text,
  owner_trade_name          text,
  -- The RequestId of the creation in force, and when that creation occurred: an older event belongs to an older creation.
  request_id                uuid,
  request_id_since          timestamptz,
  registered_at             timestamptz,
  participant_registered_at timestamptz,
  external_id               text,
  -- 'VSYNC' where the state shown came from a repair.
  synced_from               text,
  orphaned_at               timestamptz,
  -- When the state shown came about at its source; a later one wins.
  occurred_at               timestamptz NOT NULL,
  -- The event that brought it about; null: an import or a repair. Decides between events of one millisecond.
  event_action              text CHECK (event_action IN ('key.created', 'key.updated', 'key.deleted')),
  -- dict_vsyncs.seq of the commit that last changed this row.
  seq                       bigint NOT NULL,
  updated_at                timestamptz NOT NULL,
  PRIMARY KEY (participant, key),
  CHECK (status NOT IN ('ACTIVE', 'ORPHANED', 'PENDING') OR (cid IS NOT NULL AND request_id IS NOT NULL)),
  CHECK (status <> 'UNRESOLVED' OR (cid IS NULL AND request_id IS NULL)),
  CHECK (status = 'DELETED' OR (account_number IS NOT NULL AND account_type IS NOT NULL AND owner_type IS NOT NULL
    AND owner_tax_id IS NOT NULL AND owner_name IS NOT NULL))
);

CREATE INDEX dict_entries_by_cid ON dict_entries (cid) WHERE cid IS NOT NULL;
CREATE INDEX dict_entries_by_account ON dict_entries (participant, account_number, branch);
CREATE INDEX dict_entries_unsettled ON dict_entries (participant, key_type, status)
  WHERE status IN ('UNRESOLVED', 'ORPHANED', 'PENDING');
CREATE INDEX dict_entries_by_type ON dict_entries (participant, key_type, key);

-- Every CID ever, and from which seq to which it counted. As of seq n it counts when added_seq <= n and
-- (removed_seq is null or removed_seq > n). A CID that never counted (an older event, or gone within its own batch) has
-- removed_seq = added_seq.
CREATE TABLE dict_cids (
  participant text NOT NULL,
  key_type    text NOT NULL,
  cid         bytea NOT NULL CHECK (octet_length(cid) = 32),
  key         text NOT NULL,
  added_seq   bigint NOT NULL,
  removed_seq bigint CHECK (removed_seq >= added_seq),
  added_at    timestamptz NOT NULL,
  removed_at  timestamptz,
  source      text NOT NULL CHECK (source IN ('event', 'import', 'repair', 'rebuild')),
  algorithm   text NOT NULL,
  PRIMARY KEY (participant, key_type, cid, added_seq)
);

CREATE INDEX dict_cids_by_key ON dict_cids (participant, key);

CREATE TABLE dict_vsyncs (
  participant text NOT NULL CHECK (participant ~ '^[0-9]{8}$'),
  key_type    text NOT NULL,
  vsync       bytea NOT NULL CHECK (octet_length(vsync) = 32),
  keys        bigint NOT NULL CHECK (keys >= 0),
  -- Raised by every commit that changes this participant and key type, under this row's lock.
  seq         bigint NOT NULL CHECK (seq >= 0),
  updated_at  timestamptz NOT NULL,
  PRIMARY KEY (participant, key_type)
);

-- The journal of CID transitions, one row per commit: what the buckets are folded from, and what changed between two seqs.
-- `changes` is a sequence of 33-byte records: one byte 1 (added) or 0 (removed), then the CID. Null: a bulk load, whose
-- single CIDs are not journalled; the bucket snapshot of that seq stands for it.
CREATE TABLE dict_vsync_changes (
  participant  text NOT NULL,
  key_type     text NOT NULL,
  seq          bigint NOT NULL,
  source       text NOT NULL CHECK (source IN ('event', 'import', 'repair', 'rebuild')),
  changes      bytea CHECK (octet_length(changes) % 33 = 0),
  committed_at timestamptz NOT NULL,
  PRIMARY KEY (participant, key_type, seq)
);

-- A folded snapshot of the 65,536 buckets by CID prefix (first two bytes) as of one seq. `xors`: 65,536 × 32 bytes;
-- `counts`: 65,536 × 4 bytes, unsigned, little-endian. Later seqs: plus the journal.
CREATE TABLE dict_vsync_buckets (
  participant text NOT NULL,
  key_type    text NOT NULL,
  seq         bigint NOT NULL,
  xors        bytea NOT NULL CHECK (octet_length(xors) = 2097152),
  counts      bytea NOT NULL CHECK (octet_length(counts) = 262144),
  updated_at  timestamptz NOT NULL,
  PRIMARY KEY (participant, key_type)
);
