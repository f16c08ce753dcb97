/** Puts the question: our VSync as of one seq. Stored before it is sent, so that a question that got lost still shows. */

import type { SyncVerification } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import { vsyncToHex } from '../vsync/vsync.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import { conclude } from './conclusion.ts';
import { forgetWatched } from './difference-store.ts';
import { moveCursor } from './event-cursor.ts';
import { ingestBehind } from './ingest-lag.ts';
import type { NextStep, VerificationOutcome } from './outcome.ts';
import { afterFailure, concludeBehind, nextOf, storedNext, type VerifyDeps } from './run-step.ts';
import { type Run, writeProgress } from './run-store.ts';
import { withTimeLimit } from './time-limit.ts';
import { insertQuestion, type Question, writeAnswer, writeFailure } from './verification-store.ts';

type Asked = Omit<Question, 'attempt' | 'answer'>;

/** One question. OK closes the run; NOK leads to its explanation once the log covers it. */
export async function ask(deps: VerifyDeps, run: Run): Promise<NextStep> {
  const { database, clock } = deps;
  const next = nextOf(run, clock.now());
  if (next.step !== 'ask' || next.waitMs > 0) return next;
  const behind = await ingestBehind(deps, run.scope);
  if (behind !== null) return concludeBehind(deps, run, behind);
  const { vsync, keys, seq } = await readVSync(database, run.scope);
  const question: Asked = { id: deps.newId(), runId: run.runId, seq, vsync, keys, requestedAt: clock.now() };
  await insertQuestion(database, run.scope, question);
  let answer: SyncVerification;
  try {
    answer = await withTimeLimit(clock, deps.settings.callLimitMs, (signal) =>
      deps.dict.createSyncVerification(
        { ...run.scope, participantSyncVerifier: vsyncToHex(vsync) },
        { signal, priority: 'verification' },
      ),
    );
  } catch (cause) {
    await writeFailure(database, question.id, cause instanceof DictError ? cause.kind : 'Unknown', clock.now());
    return afterFailure(deps, run, cause, (reason) => ({ kind: 'unavailable', reason }));
  }
  if (answer.result === 'OK') await storeOk(deps, run, question, answer);
  else await storeNok(deps, run, question, answer);
  return storedNext(deps, run.runId);
}

/** DICT's set was ours as of that seq, some time during the round trip. */
async function storeOk(deps: VerifyDeps, run: Run, question: Asked, answer: SyncVerification): Promise<void> {
  const now = deps.clock.now();
  const { responseTime } = answer;
  const roundTripMs = now.getTime() - question.requestedAt.getTime();
  const dictTime = new Date(responseTime.getTime() - roundTripMs - deps.settings.clockSkewMs);
  const { seq, vsync } = question;
  const outcome: VerificationOutcome = { kind: 'in-sync', proof: 'ok', seq, responseTime: responseTime.toISOString() };
  const evidence = { seq, keys: question.keys, dict_id: answer.id, response_time: responseTime.toISOString() };
  await deps.database.transaction(async (tx) => {
    await writeAnswer(tx, question.id, { answeredAt: now, responseTime, dictId: answer.id, result: 'OK' });
    await moveCursor(tx, run.scope, { seq, dictTime, verifier: vsync, exceptions: [], proof: 'ok' }, now);
    await conclude(tx, run, { outcome, located: [], position: null, evidence }, now);
  });
}

/** NOK proves nothing yet. What was watched for an earlier NOK is forgotten. */
async function storeNok(deps: VerifyDeps, run: Run, question: Asked, answer: SyncVerification): Promise<void> {
  const now = deps.clock.now();
  const dueAt = new Date(now.getTime() + deps.settings.logLagMs + deps.settings.clockSkewMs);
  await deps.database.transaction(async (tx) => {
    await writeAnswer(tx, question.id, { answeredAt: now, responseTime: answer.responseTime, dictId: answer.id, result: 'NOK' });
    const taken = await writeProgress(tx, run, {
      ...run.progress,
      state: 'explain',
      asked: run.progress.asked + 1,
      failures: 0,
      looks: 0,
      unexplained: 0,
      residual: null,
      watching: false,
      watchedSeq: null,
      watchedAt: null,
      dueAt,
    });
    if (taken) await forgetWatched(tx, run.runId);
  });
}
