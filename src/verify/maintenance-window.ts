/**
 * The last rung of rule R13: the core is told to hold everything that changes keys until a time, and goes on by itself at that
 * time whatever has become of us. Once ingest has drained and DICT's log has been quiet for its lag and the grace, a verification
 * can only be right. What happens inside the window is the flow's; this file opens, watches and ends it.
 */

import { isKeyType } from '../dict/key-type.ts';
import { participant as asParticipant, type Participant } from '../dict/participant.ts';
import { readIngestBacklog } from '../ingest/ingest-backlog.ts';
import { appendAudit, systemActor } from '../ledger/audit.ts';
import { appendOutbox } from '../ledger/outbox.ts';
import { assert } from '../platform/assert.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { EVENTS_PER_PAGE } from './event-log.ts';
import type { VerifyDeps } from './run-step.ts';
import { withTimeLimit } from './time-limit.ts';
import {
  endWindow,
  expiredWindows,
  insertWindow,
  lastEventCommit,
  markQuiet,
  readWindow,
  type WindowEnd,
  type WindowRow,
} from './window-store.ts';

/** What the core holds, in the words of its operations. */
const heldOperations = ['REGISTRO', 'EXCLUSAO', 'ALTERACAO', 'PORTABILIDADE', 'REIVINDICACAO'] as const;

export interface WindowInput {
  readonly windowId: string;
  readonly participant: string;
  readonly keyTypes: readonly string[];
  /** At most so long, from its opening. */
  readonly lengthMs: number;
  readonly requestedBy: string;
}

export type WindowState =
  /** Held, but something still moves, or may. */
  | { readonly kind: 'draining'; readonly waitMs: number; readonly because: string }
  /** Nothing moves on either side. */
  | { readonly kind: 'quiet' }
  | { readonly kind: 'ended'; readonly by: WindowEnd };

export interface WindowSteps {
  openWindow(input: WindowInput): Promise<WindowState>;
  watchWindow(input: WindowInput): Promise<WindowState>;
  closeWindow(input: { readonly windowId: string; readonly by: WindowEnd }): Promise<WindowState>;
}

/** Another window of this participant is open. */
export class WindowRefused extends Error {
  override readonly name = 'WindowRefused';
}

/** The steps over their dependencies. */
export function createWindowSteps(deps: VerifyDeps): WindowSteps {
  return {
    openWindow: (input) => open(deps, input),
    watchWindow: (input) => watch(deps, input),
    closeWindow: ({ windowId, by }) => close(deps, windowId, by),
  };
}

async function open(deps: VerifyDeps, input: WindowInput): Promise<WindowState> {
  const { database, clock } = deps;
  const participant = asParticipant(input.participant);
  await database.transaction(async (tx) => {
    const now = clock.now();
    const endsAt = new Date(now.getTime() + input.lengthMs);
    const row = { id: input.windowId, participant, requestedBy: input.requestedBy, openedAt: now, endsAt };
    const inserted = await insertWindow(tx, row);
    if (!inserted) return;
    await tell(tx, { id: row.id, participant }, 'br.dict.vsync.OperationsHoldRequested', { until: endsAt.toISOString() }, now);
  });
  const window = await readWindow(database, input.windowId);
  if (window === null) throw new WindowRefused(`participant ${participant} has a maintenance window open already`);
  return watch(deps, input);
}

/** Both messages name the operations, so that the core need not remember what it holds. */
async function tell(
  tx: Transaction,
  window: { readonly id: string; readonly participant: Participant },
  type: string,
  payload: Readonly<Record<string, unknown>>,
  now: Date,
): Promise<void> {
  const { id, participant } = window;
  const told = { window_id: id, operations: heldOperations, ...payload };
  await appendOutbox(tx, [{ type, participant, partitionKey: participant, payload: told, occurredAt: now, correlationId: id }]);
  await appendAudit(tx, [
    {
      participant,
      keyType: null,
      occurredAt: now,
      actor: systemActor,
      kind: 'administration',
      action: type.endsWith('HoldRequested') ? 'MAINTENANCE_WINDOW_OPENED' : 'MAINTENANCE_WINDOW_ENDED',
      outcome: 'success',
      details: told,
      correlationId: id,
    },
  ]);
}

async function watch(deps: VerifyDeps, input: WindowInput): Promise<WindowState> {
  const { database, clock, settings } = deps;
  const window = await readWindow(database, input.windowId);
  assert(window !== null, `maintenance window ${input.windowId} was never opened`);
  if (window.endedBy !== null) return { kind: 'ended', by: window.endedBy };
  const now = clock.now();
  const leftMs = window.endsAt.getTime() - now.getTime();
  if (leftMs <= 0) return close(deps, window.id, 'expired');
  if (window.quietAt !== null) return { kind: 'quiet' };
  const because = await movement(deps, window, input.keyTypes);
  if (because !== null) return { kind: 'draining', waitMs: Math.min(settings.longestPollMs, leftMs), because };
  await markQuiet(database, window.id, now);
  return { kind: 'quiet' };
}

/** Why something may still be on its way; null when nothing can be. */
async function movement(deps: VerifyDeps, window: WindowRow, keyTypes: readonly string[]): Promise<string | null> {
  const { database, clock, settings } = deps;
  const now = clock.now();
  const { backlog, oldestUnconsumedAt } = await readIngestBacklog(database, now);
  if (oldestUnconsumedAt !== null) return `${backlog ?? 'some'} events wait for ingest`;
  const quietMs = settings.logLagMs + settings.clockSkewMs + settings.inFlightGraceMs;
  const heldMs = now.getTime() - window.openedAt.getTime();
  for (const keyType of keyTypes) {
    assert(isKeyType(keyType), `maintenance window ${window.id}: "${keyType}" is not a key type`);
    const scope: Scope = { participant: window.participant, keyType };
    const committedAt = await lastEventCommit(database, scope);
    if (committedAt !== null && now.getTime() - committedAt.getTime() < quietMs)
      return `${keyType}: the base changed within the grace`;
    if (await loggedWithin(deps, scope, quietMs)) return `${keyType}: DICT's log shows a change within the grace`;
  }
  // What the core sent just before it was told to hold may be anywhere.
  return heldMs < settings.logLagMs + settings.clockSkewMs ? 'the core was told to hold a moment ago' : null;
}

async function loggedWithin(deps: VerifyDeps, scope: Scope, withinMs: number): Promise<boolean> {
  const { dict, clock, settings } = deps;
  const startTime = new Date(clock.now().getTime() - withinMs);
  const page = await withTimeLimit(clock, settings.callLimitMs, (signal) =>
    dict.listCidSetEvents({ ...scope, startTime, limit: EVENTS_PER_PAGE }, { signal, priority: 'verification' }),
  );
  return page.events.length > 0;
}

async function close(
  deps: { readonly database: Database; readonly clock: Clock },
  windowId: string,
  by: WindowEnd,
): Promise<WindowState> {
  const { database, clock } = deps;
  await database.transaction(async (tx) => {
    const now = clock.now();
    const window = await endWindow(tx, windowId, by, now);
    if (window === null) return;
    await tell(tx, window, 'br.dict.vsync.OperationsResumeRequested', { ended_by: by }, now);
  });
  const window = await readWindow(database, windowId);
  assert(window?.endedBy != null, `maintenance window ${windowId} did not end`);
  return { kind: 'ended', by: window.endedBy };
}

/**
 * Ends windows whose time is over, after a crash that left them open: the core is told to go on. For every process to call when it
 * starts. Answers how many there were, at most 100 at a time.
 */
export async function endExpiredWindows(deps: { readonly database: Database; readonly clock: Clock }): Promise<number> {
  const ids = await expiredWindows(deps.database, deps.clock.now(), 100);
  for (const id of ids) await close(deps, id, 'expired');
  return ids.length;
}
