-- Indexes for what grows: found by asserting the plans of the product's own statements at 1,000,000 rows
-- (test/query-plans.postgres.test.ts). Ingest writes to none of them.

-- Only-local CIDs that a divergence on DICT's side accounts for: asked once per batch of a run.
CREATE INDEX dict_divergences_by_local_cid ON dict_divergences (reconciliation_id, local_cid)
  WHERE side = 'dict' AND local_cid IS NOT NULL;
-- The list that an approval covers, as it is shown.
CREATE INDEX dict_divergences_by_approval ON dict_divergences (approval_id, id) WHERE approval_id IS NOT NULL;
-- Every decision about a key, not only the open one.
CREATE INDEX manual_review_queue_by_key ON manual_review_queue (participant, key);
-- The last seq that was proven: asked once per batch of a run.
CREATE INDEX dict_verification_runs_proven ON dict_verification_runs (participant, key_type, ((result ->> 'seq')::bigint))
  WHERE outcome = 'in-sync';
-- When the base was last proven in sync.
CREATE INDEX dict_verification_runs_proven_at ON dict_verification_runs (participant, key_type, concluded_at)
  WHERE outcome = 'in-sync';
-- The last load of a base, across which no anchor reaches: asked at every look. Events add nothing to it.
CREATE INDEX dict_vsync_changes_loads ON dict_vsync_changes (participant, key_type, seq)
  WHERE source = 'import' OR changes IS NULL;
-- Reports that a process left open: looked for at the start of every synchronisation.
CREATE INDEX sync_reports_running ON sync_reports (participant, key_type) WHERE status = 'RUNNING';
-- The newest approval of a run: asked whenever a run looks whether it was decided.
CREATE INDEX reconciliation_approvals_by_run ON reconciliation_approvals (reconciliation_id, requested_at);
-- Reports by how they ended, newest first: failed ones are few among many.
CREATE INDEX sync_reports_by_status ON sync_reports (status, started_at DESC);
