-- Verification: what DICT was asked, how a NOK was explained, and up to where DICT's event log is known to agree with us.

-- The anchor of one participant and key type: at this position of DICT's log, DICT's set of CIDs was ours as of `seq`, but for
-- `exceptions`. It was proven by DICT's OK or by an identity of VSyncs, and only ever moves forward.
CREATE TABLE dict_event_cursors (
  participant text NOT NULL CHECK (participant ~ '^[0-9]{8}$'),
  key_type    text NOT NULL,
  seq         bigint NOT NULL CHECK (seq >= 0),
  -- DICT's clock. Every event that may have been missing from the log when the anchor was set is later than this.
  dict_time   timestamptz NOT NULL,
  -- DICT's VSync there.
  verifier    bytea NOT NULL CHECK (octet_length(verifier) = 32),
  -- 40-byte records: a CID that one side alone had, then since when in DICT's time (unsigned milliseconds, big-endian).
  exceptions  bytea NOT NULL CHECK (octet_length(exceptions) % 40 = 0),
  proof       text NOT NULL CHECK (proof IN ('ok', 'log')),
  moved_at    timestamptz NOT NULL,
  PRIMARY KEY (participant, key_type)
);

-- One verification of one participant and key type, from its start to its outcome. Every step reads its state from here.
CREATE TABLE dict_verification_runs (
  run_id       uuid PRIMARY KEY,
  participant  text NOT NULL CHECK (participant ~ '^[0-9]{8}$'),
  key_type     text NOT NULL,
  trigger      text NOT NULL,
  state        text NOT NULL CHECK (state IN ('ask', 'explain', 'concluded')),
  -- NOKs answered so far; how often the present call has failed in a row.
  asked        integer NOT NULL,
  failures     integer NOT NULL,
  -- Since the last NOK: looks at the log, looks that left a residual in a row, and how often the window was widened.
  looks        integer NOT NULL,
  unexplained  integer NOT NULL,
  widened      integer NOT NULL,
  -- NOKs to a VSync that, by the log, was DICT's own at that time.
  contradictions integer NOT NULL,
  -- The residual of the last look, to be confirmed by the next.
  residual     bytea CHECK (octet_length(residual) = 32),
  -- Whether rows of dict_sync_differences hold what was in flight at the first explained look since the last NOK, and where
  -- that look was: our seq and the time of DICT's last logged event.
  watching     boolean NOT NULL,
  watched_seq  bigint,
  watched_at   timestamptz,
  started_at   timestamptz NOT NULL,
  -- When the next step is due.
  due_at       timestamptz NOT NULL,
  outcome      text CHECK (outcome IN ('in-sync', 'diverged', 'inconclusive', 'unavailable', 'dict-inconsistent')),
  -- The outcome as the program's own type, in JSON.
  result       jsonb,
  concluded_at timestamptz,
  CHECK ((state = 'concluded') = (outcome IS NOT NULL)),
  CHECK ((state = 'concluded') = (concluded_at IS NOT NULL)),
  CHECK ((state = 'concluded') = (result IS NOT NULL))
);

CREATE INDEX dict_verification_runs_by_scope ON dict_verification_runs (participant, key_type, started_at);

-- One row per question put to DICT, stored before it is sent. The run's outcome is copied to its last row.
CREATE TABLE dict_sync_verifications (
  id            uuid PRIMARY KEY,
  run_id        uuid NOT NULL REFERENCES dict_verification_runs,
  attempt       integer NOT NULL CHECK (attempt > 0),
  participant   text NOT NULL,
  key_type      text NOT NULL,
  -- What was sent: our VSync and count as of seq.
  seq           bigint NOT NULL,
  vsync         bytea NOT NULL CHECK (octet_length(vsync) = 32),
  keys          bigint NOT NULL,
  -- Our clock; the round trip is measured by it.
  requested_at  timestamptz NOT NULL,
  answered_at   timestamptz,
  -- DICT's clock.
  response_time timestamptz,
  dict_id       text,
  result        text CHECK (result IN ('OK', 'NOK')),
  -- The error's name where DICT gave no result.
  error         text,
  outcome       text,
  proof         text CHECK (proof IN ('ok', 'log')),
  reason        text,
  evidence      jsonb,
  concluded_at  timestamptz,
  UNIQUE (run_id, attempt)
);

CREATE INDEX dict_sync_verifications_by_scope ON dict_sync_verifications (participant, key_type, requested_at);
CREATE INDEX dict_sync_verifications_ok ON dict_sync_verifications (participant, key_type, answered_at) WHERE result = 'OK';

-- CIDs that DICT and we were seen to disagree on. in-flight: seen at the run's first explained look and still to settle.
CREATE TABLE dict_sync_differences (
  run_id      uuid NOT NULL REFERENCES dict_verification_runs,
  participant text NOT NULL,
  key_type    text NOT NULL,
  cid         bytea NOT NULL CHECK (octet_length(cid) = 32),
  -- Who alone has it.
  side        text NOT NULL CHECK (side IN ('dict', 'local')),
  -- Since when, in DICT's time; null where nothing tells.
  since       timestamptz,
  found_by    text NOT NULL CHECK (found_by IN ('log', 'residual')),
  state       text NOT NULL CHECK (state IN ('in-flight', 'settled', 'located')),
  -- Where it was seen: our seq, and DICT's time of the look.
  seen_seq    bigint NOT NULL,
  seen_at     timestamptz NOT NULL,
  PRIMARY KEY (run_id, cid)
);
