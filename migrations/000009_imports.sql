-- The import that is under way, if one is: how far it has come, so that the same command goes on where a killed one ended. Its rows
-- wait in tables of their own (import_entries, import_cids, import_rest), which the program makes and takes away again.

CREATE TABLE import_runs (
  id                 uuid PRIMARY KEY,
  -- The file: by what it is, not by its name. Null: a pipe, which cannot be read again.
  file_bytes         bigint,
  file_modified_at   timestamptz,
  -- SHA-256 of its first and last 64 KiB.
  file_digest        bytea CHECK (octet_length(file_digest) = 32),
  format             text NOT NULL CHECK (format IN ('ndjson', 'csv')),
  as_of              timestamptz NOT NULL,
  -- loading: rows of the file are taken over. building: primary keys and indexes are made. merging: rows are folded into the base.
  phase              text NOT NULL CHECK (phase IN ('loading', 'building', 'merging')),
  -- Whether the rows can take the place of an empty base; else they are folded into it.
  replaces           boolean NOT NULL,
  -- Participants whose CIDs are not made by 'dict', and how they are.
  algorithms         jsonb NOT NULL,
  -- What the columns of a CSV are, from its header line.
  columns            text[],
  -- Of the file: what is taken over, and how many bytes of refused rows were told of it.
  next_offset        bigint NOT NULL,
  next_line          bigint NOT NULL,
  refused_bytes      bigint NOT NULL,
  -- Each as 'participant key_type'.
  scopes             text[] NOT NULL,
  -- Merging: how many pages of import_entries are done.
  merged_pages       bigint NOT NULL,
  rows               bigint NOT NULL,
  loaded             bigint NOT NULL,
  unchanged          bigint NOT NULL,
  superseded         bigint NOT NULL,
  refused            bigint NOT NULL,
  without_request_id bigint NOT NULL,
  started_at         timestamptz NOT NULL,
  updated_at         timestamptz NOT NULL
);
