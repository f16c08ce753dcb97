-- How far a scan or a rebuild has come, so that it can be interrupted, also by a kill, and go on.

-- One row per participant of a scan.
CREATE TABLE scan_runs (
  id             uuid NOT NULL,
  participant    text NOT NULL,
  kind           text NOT NULL CHECK (kind IN ('scan', 'rebuild')),
  -- Of a rebuild: stored attributes are taken for true.
  accept_altered boolean NOT NULL,
  -- entries: rows are hashed and folded. cids: CIDs are folded. buckets: those that differ are compared one by one. sums: VSync and
  -- count are set right (rebuild). keys: the candidates are judged, or mended. done: kept until the participants after it are done.
  phase          text NOT NULL CHECK (phase IN ('entries', 'cids', 'buckets', 'sums', 'keys', 'done')),
  -- Within the phase: blocks of dict_entries that are done; or buckets.
  position       bigint NOT NULL,
  -- The files that dict_entries consists of. Rows of files that were rewritten meanwhile lie elsewhere: it starts over.
  files          json NOT NULL,
  -- Raised by whoever goes on with it. A process that finds another number stops.
  token          bigint NOT NULL,
  started_at     timestamptz NOT NULL,
  updated_at     timestamptz NOT NULL,
  PRIMARY KEY (id, participant)
);

CREATE TABLE scan_scopes (
  scan_id       uuid NOT NULL,
  participant   text NOT NULL,
  key_type      text NOT NULL,
  -- As of which seq CIDs are counted; 0 until they are read.
  seq           bigint NOT NULL,
  -- What was stored when they were read: all null until then.
  stored_seq    bigint,
  vsync         bytea CHECK (octet_length(vsync) = 32),
  keys          bigint,
  -- Null where no buckets are stored, or where they cannot be folded: then the reason.
  stored_xors   bytea,
  stored_counts bytea,
  stored_fault  text,
  -- Rows looked at.
  entries       bigint NOT NULL,
  -- 65,536 times two 32-bit sums, little-endian: hashes of pairs (CID, key) of entries minus those of CIDs that count.
  pair_sums     bytea NOT NULL CHECK (octet_length(pair_sums) = 524288),
  -- The buckets of the CIDs that count as of seq; null until they have been read.
  cid_xors      bytea,
  cid_counts    bytea,
  -- Findings by kind, or keys by what became of them.
  tally         json NOT NULL,
  PRIMARY KEY (scan_id, participant, key_type),
  FOREIGN KEY (scan_id, participant) REFERENCES scan_runs ON DELETE CASCADE
);

-- Sums look random: compressing them costs time and gains nothing.
ALTER TABLE scan_scopes
  ALTER COLUMN stored_xors SET STORAGE EXTERNAL,
  ALTER COLUMN pair_sums SET STORAGE EXTERNAL,
  ALTER COLUMN cid_xors SET STORAGE EXTERNAL;

-- Keys that something may be wrong with, still to be judged as of one moment.
CREATE TABLE scan_candidates (
  scan_id     uuid NOT NULL,
  participant text NOT NULL,
  key_type    text NOT NULL,
  key         text NOT NULL,
  PRIMARY KEY (scan_id, participant, key_type, key),
  FOREIGN KEY (scan_id, participant) REFERENCES scan_runs ON DELETE CASCADE
);
