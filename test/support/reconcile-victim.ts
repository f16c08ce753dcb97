/**
 * A process that works on one reconciliation until it is done, or kills itself with SIGKILL right before or after a given step.
 * Started by the tests of resumption; its clock is the test's own, sped up.
 */

import { randomUUID } from 'node:crypto';
import { createDictClient } from '../../src/bridge/dict-client.ts';
import type { DictApi } from '../../src/dict/api.ts';
import { reconciliation } from '../../src/flow/reconciliation.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { openDatabase } from '../../src/platform/postgres/database.ts';
import { RECONCILE_DEFAULTS, type ReconcileSettings } from '../../src/reconcile/reconciliation.ts';
import { createReconciliationSteps } from '../../src/reconcile/steps.ts';
import { VERIFY_DEFAULTS, type VerifySettings } from '../../src/verify/settings.ts';
import { createVerificationSteps } from '../../src/verify/steps.ts';

export interface VictimOrders {
  readonly databaseUrl: string;
  readonly apiUrl: string;
  readonly workDirectory: string;
  readonly runId: string;
  readonly clock: SharedClock;
  /** Null: works to the end. */
  readonly kill: { readonly step: string; readonly when: 'before' | 'after' } | null;
  /** Kills itself when it has taken so many bytes of a CID set file. */
  readonly killAfterBytes?: number;
}

/** What a victim tells once it has started: the rest of its life is work. */
export const WORK_BEGINS = 'the work begins';

/** Time that several processes of one machine agree on, and that runs `factor` times as fast as theirs. */
export interface SharedClock {
  readonly startMs: number;
  readonly factor: number;
}

export function sharedClock({ startMs, factor }: SharedClock): Clock {
  return {
    now: () => new Date(startMs + (Date.now() - startMs) * factor),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms / factor)),
  };
}

export const VICTIM_SETTINGS: ReconcileSettings = {
  ...RECONCILE_DEFAULTS,
  clockSkewMs: 1_000,
  leaseMs: 20_000,
  approvalThreshold: 1,
};
export const VICTIM_VERIFY: VerifySettings = { ...VERIFY_DEFAULTS, inFlightGraceMs: 30_000, callLimitMs: 600_000 };

async function work(orders: VictimOrders): Promise<void> {
  const clock = sharedClock(orders.clock);
  const database = await openDatabase({
    url: orders.databaseUrl,
    poolMin: 0,
    poolMax: 4,
    statementTimeoutMs: 60_000,
    connectTimeoutMs: 10_000,
    applicationName: 'victim',
  });
  const client = createDictClient({ apiUrl: orders.apiUrl, filesHosts: ['127.0.0.1'], clock, random: Math.random });
  const dict = orders.killAfterBytes === undefined ? client : dyingIn(client, orders.killAfterBytes);
  const deps = {
    database,
    dict,
    clock,
    settings: VICTIM_SETTINGS,
    verify: VICTIM_VERIFY,
    workDirectory: orders.workDirectory,
    newId: randomUUID,
    // What it has to tell: a test reads it.
    log: { info: tell, warn: tell },
  };
  const steps = {
    ...createReconciliationSteps(deps),
    ...createVerificationSteps({ ...deps, settings: VICTIM_VERIFY }),
  };
  const mortal = Object.entries(steps).map(([name, step]: [string, (input: never) => Promise<unknown>]) => {
    const wrapped = async (input: never): Promise<unknown> => {
      if (orders.kill?.step === name && orders.kill.when === 'before') process.kill(process.pid, 'SIGKILL');
      const answer = await step(input);
      if (orders.kill?.step === name) process.kill(process.pid, 'SIGKILL');
      return answer;
    };
    return [name, wrapped];
  });
  const context = {
    // Every member is the same step with a death before or after it.
    steps: Object.fromEntries(mortal) as typeof steps,
    sleep: (ms: number) => clock.sleep(ms),
    waitForWake: (ms: number) => clock.sleep(Math.min(ms, 5_000)),
  };
  tell({}, WORK_BEGINS);
  const outcome = await reconciliation(context, { runId: orders.runId, owner: randomUUID() });
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
  await client.close();
  await database.close();
}

function tell(details: Readonly<Record<string, unknown>>, message: string): void {
  process.stderr.write(`${JSON.stringify({ ...details, message })}\n`);
}

/** The same DICT, whose reader does not live to see the end of a file. */
function dyingIn(dict: DictApi, bytesMax: number): DictApi {
  return {
    ...dict,
    async *downloadCidSetFile(request, options) {
      let bytes = 0;
      for await (const chunk of dict.downloadCidSetFile(request, options)) {
        yield chunk;
        bytes += chunk.length;
        if (bytes >= bytesMax) process.kill(process.pid, 'SIGKILL');
      }
    },
  };
}

const [orders] = process.argv.slice(2);
// Only as a program of its own: tests import the settings.
if (orders !== undefined && import.meta.main) await work(JSON.parse(orders));
