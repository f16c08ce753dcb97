-- Reconciliation runs, what they found, what people decided about it, and what waits for a person.

CREATE TABLE dict_reconciliations (
  id                  uuid PRIMARY KEY,
  participant         text NOT NULL CHECK (participant ~ '^[0-9]{8}$'),
  key_type            text NOT NULL,
  state               text NOT NULL CHECK (state IN ('requested', 'generating', 'downloading', 'comparing', 'judging',
    'awaiting approval', 'applying', 'confirming', 'completed', 'partial', 'failed', 'cancelled', 'superseded')),
  rung                text NOT NULL CHECK (rung IN ('log', 'file', 'scan')),
  -- Of this rung: how often differences were taken in. Of the run: confirmations that could not be had.
  rounds              integer NOT NULL,
  unconfirmed         integer NOT NULL,
  -- Which verification said NOK, and for which seq; null where a person began at a later rung.
  verification_run_id uuid,
  verification_seq    bigint,
  -- The verification that confirms: its id is committed before it is asked for.
  confirm_run_id      uuid,
  trigger             text NOT NULL CHECK (trigger IN ('verification', 'operator')),
  requested_by        text NOT NULL,
  authenticated       boolean NOT NULL,
  -- Raised by whoever takes the run over. Every transaction that writes for the run checks the token it was given.
  fencing_token       bigint NOT NULL,
  lease_owner         text,
  lease_until         timestamptz,
  paused_at           timestamptz,
  -- The CID set file. The intent is committed before DICT is asked: an intent without an id is a file asked for and lost.
  file_intent_at      timestamptz,
  file_id             text,
  file_polls          integer NOT NULL,
  file_failures       integer NOT NULL,
  files_requested     integer NOT NULL,
  files_lost          integer NOT NULL,
  file_request_time   timestamptz,
  file_creation_time  timestamptz,
  file_url            text,
  file_bytes          bigint,
  file_sha256         bytea CHECK (octet_length(file_sha256) = 32),
  file_lines          bigint,
  file_vsync          bytea CHECK (octet_length(file_vsync) = 32),
  -- The log's event at which DICT's VSync was the file's, and how many events of that millisecond belong to the file.
  file_instant        timestamptz,
  file_instant_events integer,
  file_differences    bigint,
  compared_seq        bigint,
  scan_id             uuid,
  by_cid_reads        bigint NOT NULL,
  last_repair_seq     bigint,
  -- While ingest is behind (rule R1) nothing is judged or applied.
  held_since          timestamptz,
  reason              text,
  evidence            jsonb,
  started_at          timestamptz NOT NULL,
  updated_at          timestamptz NOT NULL,
  ended_at            timestamptz,
  CHECK ((ended_at IS NOT NULL) = (state IN ('completed', 'partial', 'failed', 'cancelled', 'superseded'))),
  CHECK ((file_instant IS NULL) = (file_instant_events IS NULL))
);

-- Rule R6: one open run per participant and key type.
CREATE UNIQUE INDEX dict_reconciliations_open ON dict_reconciliations (participant, key_type) WHERE ended_at IS NULL;
CREATE INDEX dict_reconciliations_by_scope ON dict_reconciliations (participant, key_type, started_at DESC);

-- A list of divergences that was shown to a person, by its digest (rule R8).
CREATE TABLE reconciliation_approvals (
  id                uuid PRIMARY KEY,
  reconciliation_id uuid NOT NULL REFERENCES dict_reconciliations,
  participant       text NOT NULL,
  divergences       integer NOT NULL CHECK (divergences > 0),
  -- SHA-256 over kind, local CID and DICT's CID of each, in order.
  digest            bytea NOT NULL CHECK (octet_length(digest) = 32),
  requested_by      text NOT NULL,
  requested_at      timestamptz NOT NULL,
  expires_at        timestamptz NOT NULL,
  decision          text CHECK (decision IN ('approved', 'rejected', 'expired')),
  decided_by        text,
  authenticated     boolean,
  reason            text,
  decided_at        timestamptz,
  CHECK ((decision IS NULL) = (decided_at IS NULL)),
  CHECK (decision IS NULL OR decision = 'expired' OR (decided_by IS NOT NULL AND reason IS NOT NULL AND authenticated IS NOT NULL))
);

CREATE UNIQUE INDEX reconciliation_approvals_undecided ON reconciliation_approvals (reconciliation_id) WHERE decision IS NULL;

CREATE TABLE dict_divergences (
  id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reconciliation_id uuid NOT NULL REFERENCES dict_reconciliations,
  participant       text NOT NULL,
  key_type          text NOT NULL,
  -- Who alone has the CID: DICT or our base; 'row': an entry that does not hash to its own CID.
  side              text NOT NULL CHECK (side IN ('dict', 'local', 'row')),
  cid               bytea NOT NULL CHECK (octet_length(cid) = 32),
  -- Null until DICT or our history told.
  key               text,
  kind              text CHECK (kind IN ('missing_local', 'outdated_local', 'orphaned', 'duplicated', 'unresolved', 'altered')),
  local_cid         bytea CHECK (octet_length(local_cid) = 32),
  dict_cid          bytea CHECK (octet_length(dict_cid) = 32),
  -- found: to be judged. deferred: to be judged at due_at. settled: proved, to be applied. applied: repaired. review: a person
  -- decides. open: could not be settled, carried to the next run. dropped: no divergence after all. paired: the other half of an
  -- outdated entry.
  state             text NOT NULL CHECK (state IN ('found', 'deferred', 'settled', 'applied', 'review', 'open', 'dropped', 'paired')),
  found_by          text NOT NULL CHECK (found_by IN ('log', 'residual', 'file', 'scan', 'recheck')),
  -- Since when it differs, as far as known; what the in-flight grace is counted from.
  since             timestamptz,
  due_at            timestamptz,
  -- The stored entry that the judgement was made on: its seq, or null where there was none.
  judged_seq        bigint,
  -- DICT's clock at its last answer about this CID.
  proved_at         timestamptz,
  attempts          integer NOT NULL,
  reason            text,
  -- Masked.
  evidence          jsonb,
  approval_id       uuid REFERENCES reconciliation_approvals,
  carried_from      bigint REFERENCES dict_divergences,
  found_at          timestamptz NOT NULL,
  settled_at        timestamptz,
  applied_at        timestamptz,
  applied_seq       bigint,
  updated_at        timestamptz NOT NULL,
  UNIQUE (reconciliation_id, side, cid),
  CHECK (state <> 'deferred' OR due_at IS NOT NULL),
  CHECK (state NOT IN ('settled', 'applied') OR (kind IS NOT NULL AND key IS NOT NULL AND settled_at IS NOT NULL)),
  CHECK (state <> 'open' OR reason IS NOT NULL)
);

CREATE INDEX dict_divergences_by_state ON dict_divergences (reconciliation_id, state, side, id);
CREATE INDEX dict_divergences_settled ON dict_divergences (participant, key_type, settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX dict_divergences_by_key ON dict_divergences (participant, key) WHERE key IS NOT NULL;

CREATE TABLE manual_review_queue (
  id            uuid PRIMARY KEY,
  -- With key: the entry.
  participant   text NOT NULL,
  key_type      text NOT NULL,
  key           text NOT NULL,
  -- orphaned, newer_here, open_claim
  reason        text NOT NULL CHECK (reason IN ('orphaned', 'newer_here', 'open_claim')),
  detail        text NOT NULL,
  divergence_id bigint REFERENCES dict_divergences,
  local_cid     bytea CHECK (octet_length(local_cid) = 32),
  dict_cid      bytea CHECK (octet_length(dict_cid) = 32),
  -- The stored entry that was judged: a decision holds only while it is unchanged.
  entry_seq     bigint,
  status        text NOT NULL CHECK (status IN ('PENDING', 'INVESTIGATING', 'RESOLVED', 'CLOSED')),
  -- Raised by every change; a decision names the one it was made on.
  version       integer NOT NULL,
  reviewed_by   text,
  authenticated boolean,
  reviewed_at   timestamptz,
  action_taken  text CHECK (action_taken IN ('confirm-deletion', 'keep', 'investigate', 'accept-dict', 'closed-by-itself')),
  action_reason text,
  created_at    timestamptz NOT NULL,
  updated_at    timestamptz NOT NULL
);

CREATE UNIQUE INDEX manual_review_queue_open ON manual_review_queue (participant, key) WHERE status IN ('PENDING', 'INVESTIGATING');
CREATE INDEX manual_review_queue_by_status ON manual_review_queue (status, created_at);
