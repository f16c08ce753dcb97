-- What arrived: every event once, and those that could not be applied with the reason.

CREATE TABLE event_inbox (
  event_id    text PRIMARY KEY CHECK (char_length(event_id) BETWEEN 1 AND 200),
  -- applied: changed the present. superseded: older than the present, history only. echo: carried what is already here.
  -- dead: see event_dead_letters.
  outcome     text NOT NULL CHECK (outcome IN ('applied', 'superseded', 'echo', 'dead')),
  occurred_at timestamptz,
  received_at timestamptz NOT NULL
);

CREATE INDEX event_inbox_by_time ON event_inbox (received_at);

CREATE TABLE event_dead_letters (
  id          uuid PRIMARY KEY,
  event_id    text,
  participant text,
  -- The event exactly as it came, so that nothing is lost. Holds personal data: never shown unmasked.
  raw         bytea NOT NULL,
  -- A short name (such as invalid_field), and the sentence that names the field and what would be right.
  reason      text NOT NULL,
  detail      text NOT NULL,
  origin      text NOT NULL,
  received_at timestamptz NOT NULL
);

CREATE INDEX event_dead_letters_by_time ON event_dead_letters (received_at);

-- How far each source of events has been consumed; what rule R1 reads before a verification.
CREATE TABLE ingest_progress (
  -- Such as 'file:/path' or 'stdin' or a subscription.
  origin             text PRIMARY KEY,
  consumed           bigint NOT NULL,
  -- Known to be waiting and not yet consumed; null where the source cannot say.
  backlog            bigint,
  oldest_unconsumed_at timestamptz,
  -- The highest occurred_at consumed.
  latest_occurred_at timestamptz,
  -- Null while a consumer runs.
  ended_at           timestamptz,
  updated_at         timestamptz NOT NULL
);
