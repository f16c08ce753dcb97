-- Maintenance windows: for a while the core holds what changes keys, so that DICT and base can be compared while nothing moves.

CREATE TABLE dict_maintenance_windows (
  id           uuid PRIMARY KEY,
  participant  text NOT NULL CHECK (participant ~ '^[0-9]{8}$'),
  requested_by text NOT NULL,
  opened_at    timestamptz NOT NULL,
  -- The core goes on by itself then, whatever has become of us.
  ends_at      timestamptz NOT NULL,
  -- Since when everything is proven quiet; null while it is not.
  quiet_at     timestamptz,
  ended_at     timestamptz,
  -- completed: everything was verified. expired: the time was over. failed: something broke before.
  ended_by     text CHECK (ended_by IN ('completed', 'expired', 'failed')),
  CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);

CREATE UNIQUE INDEX dict_maintenance_windows_open ON dict_maintenance_windows (participant) WHERE ended_at IS NULL;
