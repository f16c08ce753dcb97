/**
 * A process that works on one entry-level synchronisation until it is done, or kills itself with SIGKILL right before or after a call of a
 * given step. Started by the test of resumption; its clock is the test's own, sped up.
 */

import { randomUUID } from 'node:crypto';
import { createDictClient } from '../../src/bridge/dict-client.ts';
import { createTransport, DEFAULT_TRANSPORT_LIMITS } from '../../src/bridge/dict-transport.ts';
import { createEntryListingClient } from '../../src/bridge/entry-listing-client.ts';
import { vsyncWorkflow } from '../../src/flow/vsync-workflow.ts';
import { openDatabase } from '../../src/platform/postgres/database.ts';
import { LISTING_DEFAULTS } from '../../src/reconcile/listing.ts';
import { createListingSteps } from '../../src/reconcile/listing-steps.ts';
import { createReconciliationSteps } from '../../src/reconcile/steps.ts';
import { createVSyncSteps, type VSyncDeps } from '../../src/report/vsync.ts';
import { createVerificationSteps } from '../../src/verify/steps.ts';
import { type SharedClock, sharedClock, VICTIM_SETTINGS, VICTIM_VERIFY } from './reconcile-victim.ts';

export interface VSyncOrders {
  readonly databaseUrl: string;
  readonly apiUrl: string;
  readonly listingUrl: string;
  readonly workDirectory: string;
  readonly participant: string;
  readonly keyType: string;
  readonly clock: SharedClock;
  /** Null: works to the end. `call`: at which call of the step, from 1. */
  readonly kill: { readonly step: string; readonly when: 'before' | 'after'; readonly call: number } | null;
}

/** Few enough for several pages of the test's base. */
const pageSize = 15;

async function work(orders: VSyncOrders): Promise<void> {
  const clock = sharedClock(orders.clock);
  const database = await openDatabase({
    url: orders.databaseUrl,
    poolMin: 0,
    poolMax: 4,
    statementTimeoutMs: 60_000,
    connectTimeoutMs: 10_000,
    applicationName: 'victim',
  });
  const signatures = { sign: null, trust: null, answers: 'required', errors: 'required' } as const;
  const dict = createDictClient({ apiUrl: orders.apiUrl, filesHosts: ['127.0.0.1'], clock, random: Math.random });
  const transport = createTransport(DEFAULT_TRANSPORT_LIMITS);
  const listing = createEntryListingClient({ url: orders.listingUrl, transport, clock, signatures });
  const deps: VSyncDeps = {
    database,
    dict,
    clock,
    settings: { ...VICTIM_SETTINGS, approvalThreshold: 100 },
    verify: VICTIM_VERIFY,
    workDirectory: orders.workDirectory,
    newId: randomUUID,
    log: { info: () => {}, warn: () => {} },
    listing,
    listingSettings: { ...LISTING_DEFAULTS, pageSize },
    detailsKeys: null,
  };
  const steps = {
    ...createListingSteps(deps),
    ...createVSyncSteps(deps),
    ...createReconciliationSteps(deps),
    ...createVerificationSteps({ ...deps, settings: VICTIM_VERIFY }),
  };
  const context = {
    steps: mortal(steps, orders.kill),
    sleep: (ms: number) => clock.sleep(ms),
    waitForWake: (ms: number) => clock.sleep(Math.min(ms, 5_000)),
  };
  const outcome = await vsyncWorkflow(
    context,
    { ParticipantISPB: orders.participant, SyncType: 'FULL', LastSyncDate: null },
    {
      listingId: randomUUID(),
      owner: randomUUID(),
      requestedBy: { name: 'ana', authenticated: false },
      keyTypes: [orders.keyType],
    },
  );
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
  await Promise.all([dict.close(), listing.close()]);
  await database.close();
}

/** The steps, one of them with a death before or after one of its calls. */
function mortal<Steps extends object>(steps: Steps, kill: VSyncOrders['kill']): Steps {
  let calls = 0;
  const wrapped = Object.entries(steps).map(([name, step]: [string, (input: never) => Promise<unknown>]) => {
    const called = async (input: never): Promise<unknown> => {
      const dies = kill?.step === name && ++calls === kill.call;
      if (dies && kill.when === 'before') process.kill(process.pid, 'SIGKILL');
      const answer = await step(input);
      if (dies) process.kill(process.pid, 'SIGKILL');
      return answer;
    };
    return [name, called];
  });
  // Every member is the same step with a death before or after it.
  return Object.fromEntries(wrapped) as Steps;
}

const [orders] = process.argv.slice(2);
// Only as a program of its own: the test imports the type.
if (orders !== undefined && import.meta.main) await work(JSON.parse(orders));
