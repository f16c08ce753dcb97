-- Audit and outbox rows, appended inside the transaction of whatever they tell of; and corrections that the participant's
-- core system has been told of but has not carried out yet.

CREATE TABLE audit_log (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  participant    text NOT NULL,
  key_type       text,
  occurred_at    timestamptz NOT NULL,
  actor          text NOT NULL,
  authenticated  boolean NOT NULL,
  -- verification, reconciliation, correction, review, approval, access, administration
  kind           text NOT NULL,
  action         text NOT NULL,
  outcome        text NOT NULL CHECK (outcome IN ('success', 'failure')),
  -- Masked: no personal data in clear, CIDs as the first 16 hex digits of their SHA-256.
  details        jsonb NOT NULL,
  correlation_id text,
  -- SHA-256 over the previous row's hash of the same participant and this row's content.
  previous_hash  bytea NOT NULL CHECK (octet_length(previous_hash) = 32),
  hash           bytea NOT NULL CHECK (octet_length(hash) = 32)
);

CREATE INDEX audit_log_by_participant ON audit_log (participant, id);

CREATE TABLE event_outbox (
  id             uuid PRIMARY KEY,
  position       bigint GENERATED ALWAYS AS IDENTITY,
  type           text NOT NULL,
  participant    text NOT NULL,
  -- Ordering key for the publisher: the entry's key hashed, or the participant.
  partition_key  text NOT NULL,
  payload        jsonb NOT NULL,
  occurred_at    timestamptz NOT NULL,
  correlation_id text,
  published_at   timestamptz
);

CREATE INDEX event_outbox_unpublished ON event_outbox (position) WHERE published_at IS NULL;

CREATE TABLE core_corrections (
  id          uuid PRIMARY KEY,
  participant text NOT NULL,
  key         text NOT NULL,
  key_type    text NOT NULL,
  -- upsert: the core shall hold the entry of this CID. delete: it shall not hold the key. Reversed by a later correction.
  correction  text NOT NULL CHECK (correction IN ('upsert', 'delete')),
  cid         bytea CHECK (octet_length(cid) = 32),
  told_at     timestamptz NOT NULL,
  settled_at  timestamptz,
  -- echo: the core's own event carried it. acknowledged: the core said so. superseded: a later correction or event replaced it.
  settled_by  text CHECK (settled_by IN ('echo', 'acknowledged', 'superseded')),
  CHECK ((correction = 'upsert') = (cid IS NOT NULL)),
  CHECK ((settled_at IS NULL) = (settled_by IS NULL))
);

CREATE INDEX core_corrections_pending ON core_corrections (participant, key) WHERE settled_at IS NULL;
