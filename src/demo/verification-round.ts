/** One verification of every key type, at the same time, under whatever goes on meanwhile. */

import { randomUUID } from 'node:crypto';
import { KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import { unreachable } from '../platform/assert.ts';
import { runVerification } from '../runner/verification-run.ts';
import type { VerificationOutcome } from '../verify/outcome.ts';
import { VERIFY_DEFAULTS } from '../verify/settings.ts';
import { vsyncToHex } from '../vsync/vsync.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import { verifySettingsOf } from '../wire.ts';
import { OURS } from './settings.ts';
import type { StageOutput, Tone } from './stage-output.ts';
import type { DemoWorld } from './world.ts';

export interface Verified {
  readonly keyType: KeyType;
  readonly runId: string;
  readonly outcome: VerificationOutcome;
  /** What DICT answered to the first question of the run. */
  readonly answer: 'OK' | 'NOK' | 'none';
  readonly keys: number;
  readonly vsync: string;
}

/** In the order of the key types. */
export async function verifyAll(world: DemoWorld, output: StageOutput, signal: AbortSignal): Promise<Verified[]> {
  const bar = output.progress('verifying', KEY_TYPES.length);
  let done = 0;
  bar.at(0, 'asking DICT');
  try {
    return await Promise.all(
      KEY_TYPES.map(async (keyType) => {
        const verified = await verify(world, keyType, signal);
        done += 1;
        bar.at(done, `${keyType} concluded`);
        return verified;
      }),
    );
  } finally {
    bar.end();
  }
}

/** One key type. */
export async function verify(world: DemoWorld, keyType: KeyType, signal: AbortSignal): Promise<Verified> {
  const { base, dict } = world;
  const runId = randomUUID();
  const settings = { ...VERIFY_DEFAULTS, ...verifySettingsOf(base.config) };
  const deps = {
    ...base,
    dict,
    settings,
    newId: randomUUID,
    signal,
    suspendOnWait: false,
    wakePollMs: settings.longestPollMs,
  };
  const scope = { participant: OURS, keyType };
  const outcome = await runVerification(deps, { runId, ...scope, trigger: 'demo' });
  const { keys, vsync } = await readVSync(base.database, scope);
  return { keyType, runId, outcome, answer: await firstAnswer(world, runId), keys, vsync: vsyncToHex(vsync) };
}

async function firstAnswer(world: DemoWorld, runId: string): Promise<Verified['answer']> {
  const { rows } = await world.base.database.query<{ result: 'OK' | 'NOK' | null }>(
    'SELECT result FROM dict_sync_verifications WHERE participant = $1 AND run_id = $2 ORDER BY requested_at LIMIT 1',
    [OURS, runId],
  );
  return rows[0]?.result ?? 'none';
}

/** What came of it in one sentence, and whether that is good. */
function sentenceOf({ outcome, answer }: Verified): { readonly tone: Tone; readonly text: string } {
  switch (outcome.kind) {
    case 'in-sync':
      if (outcome.proof === 'ok') {
        const text = answer === 'NOK' ? 'in sync: NOK at first, OK when asked again' : 'in sync: DICT says OK';
        return { tone: 'good', text };
      }
      return {
        tone: 'good',
        text: `in sync: DICT says NOK, and its log accounts for it (${outcome.settled} in flight, all arrived)`,
      };
    case 'diverged':
      return {
        tone: 'bad',
        text:
          outcome.located === 0
            ? 'DIVERGED, and only the CID set file can tell where'
            : `DIVERGED, ${outcome.located} CIDs located without a file`,
      };
    case 'inconclusive':
    case 'unavailable':
    case 'dict-inconsistent':
      return { tone: 'doubtful', text: `${outcome.kind}: ${outcome.reason}` };
    default:
      return unreachable(outcome);
  }
}

/** A line for each key type. */
export function showVerified(output: StageOutput, verified: readonly Verified[]): void {
  for (const one of verified) {
    const { tone, text } = sentenceOf(one);
    const keys = one.keys.toLocaleString('en-US').padStart(9);
    output.line(`${one.keyType.padEnd(5)} ${keys} keys  VSync ${one.vsync.slice(0, 12)}…  ${output.toned(tone, text)}`);
  }
}
