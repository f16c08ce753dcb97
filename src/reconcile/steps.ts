/** The steps of a reconciliation, for the flow. Each is idempotent, bounded, and writes only under the token it is given. */

import { applyRepairs } from './applying.ts';
import { awaitApproval } from './approval.ts';
import { beginReconciliation } from './beginning.ts';
import { type Claim, claimReconciliation, type StepInput } from './claiming.ts';
import { compareCidSetFile } from './comparing.ts';
import { confirmReconciliation } from './confirming.ts';
import { finish } from './ending.ts';
import { downloadCidSetFile } from './file-download.ts';
import { requestCidSetFile } from './file-request.ts';
import { judgeDivergences } from './judging.ts';
import type { Next, ReconcileDeps, StepName } from './reconciliation.ts';
import { RunTaken } from './run-store.ts';
import { scanEntries } from './scanning.ts';

export type ReconciliationSteps = Readonly<Record<StepName, (input: StepInput) => Promise<Next>>> & {
  readonly claimReconciliation: (input: { readonly runId: string; readonly owner: string }) => Promise<Claim>;
  /** Ends the run because a step of it failed for good. */
  readonly failReconciliation: (input: StepInput & { readonly reason: string }) => Promise<Next>;
};

const reasonCharactersMax = 500;

/** The steps over their dependencies. */
export function createReconciliationSteps(deps: ReconcileDeps): ReconciliationSteps {
  return {
    claimReconciliation: (input) => claimReconciliation(deps, input),
    beginReconciliation: (input) => beginReconciliation(deps, input),
    requestCidSetFile: (input) => requestCidSetFile(deps, input),
    downloadCidSetFile: (input) => downloadCidSetFile(deps, input),
    compareCidSetFile: (input) => compareCidSetFile(deps, input),
    scanEntries: (input) => scanEntries(deps, input),
    judgeDivergences: (input) => judgeDivergences(deps, input),
    awaitApproval: (input) => awaitApproval(deps, input),
    applyRepairs: (input) => applyRepairs(deps, input),
    confirmReconciliation: (input) => confirmReconciliation(deps, input),
    failReconciliation: (input) => failReconciliation(deps, input),
  };
}

async function failReconciliation(deps: ReconcileDeps, input: StepInput & { readonly reason: string }): Promise<Next> {
  try {
    return await finish(deps, input, { state: 'failed', reason: input.reason.slice(0, reasonCharactersMax) });
  } catch (cause) {
    if (cause instanceof RunTaken) return { kind: 'lost' };
    throw cause;
  }
}
