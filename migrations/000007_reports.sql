-- One row per synchronisation run, from its start (RUNNING) to its end. Kept seven years, in partitions by year of start that
-- the program creates before it writes and drops when they have aged out.

CREATE TABLE sync_reports (
  id                    uuid NOT NULL,
  started_at            timestamptz NOT NULL,
  participant           text NOT NULL,
  key_type              text NOT NULL,
  sync_type             text NOT NULL,
  requested_by          text NOT NULL,
  status                text NOT NULL CHECK (status IN ('RUNNING', 'COMPLETED', 'PARTIAL', 'FAILED')),
  outcome               text,
  completed_at          timestamptz,
  duration_ms           bigint,
  verifications_sent    integer,
  total_keys_local      bigint,
  -- Null where no file or listing of DICT's was read.
  total_keys_bacen      bigint,
  keys_in_sync          bigint,
  missing_local_count   integer,
  outdated_local_count  integer,
  orphaned_count        integer,
  duplicated_count      integer,
  unresolved_count      integer,
  altered_count         integer,
  entries_created       integer,
  entries_updated       integer,
  entries_deleted       integer,
  -- Found and not repaired: left to a person, to the next run or refused.
  divergences_open      integer,
  by_cid_reads          integer,
  files_requested       integer,
  error_message         text,
  -- AES-256-GCM under the key of that version; the divergences one by one, masked. Null where no key is configured.
  details_key_version   integer,
  details               bytea,
  PRIMARY KEY (started_at, id)
) PARTITION BY RANGE (started_at);

CREATE INDEX sync_reports_by_id ON sync_reports (id);
CREATE INDEX sync_reports_by_scope ON sync_reports (participant, key_type, started_at DESC);
