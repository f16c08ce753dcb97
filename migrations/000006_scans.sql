-- What a scan of the base found: rows altered behind the system's back, and places where entries, CIDs, buckets and VSync
-- disagree.

CREATE TABLE scan_findings (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  scan_id      uuid NOT NULL,
  participant  text NOT NULL,
  key_type     text NOT NULL,
  -- Null for findings about a whole participant and key type.
  key          text,
  -- altered: the entry does not hash to the CID that counts for it. missing: an ACTIVE entry without a CID that counts. surplus: a
  -- CID that counts without an ACTIVE entry. duplicated: a further CID that counts for one key. buckets, vsync, count: what is
  -- stored is not what the CIDs give.
  kind         text NOT NULL CHECK (kind IN ('altered', 'missing', 'surplus', 'duplicated', 'buckets', 'vsync', 'count')),
  -- The CID that counts (the history's), and the one that the stored attributes give.
  stored_cid   bytea CHECK (octet_length(stored_cid) = 32),
  computed_cid bytea CHECK (octet_length(computed_cid) = 32),
  -- What is stored and what it should be, for findings without a key.
  detail       text,
  found_at     timestamptz NOT NULL,
  CHECK ((key IS NULL) = (kind IN ('buckets', 'vsync', 'count'))),
  CHECK ((key IS NULL) = (detail IS NOT NULL))
);

CREATE INDEX scan_findings_by_scan ON scan_findings (scan_id, participant, key_type, id);
