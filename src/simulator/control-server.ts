/**
 * The control interface over HTTP: JSON in and out, one path for each function of `SimulatorState`. It is off by default, bound
 * to the loopback address and has no authentication, because it exists for tests and demonstrations on one machine. A request
 * that names a host other than a loopback one, or that a browser sent from a page, is refused: a web page must not be able to
 * reach it by rebinding a name.
 */

import { z } from 'zod';
import { ACCOUNT_TYPES, OWNER_TYPES } from '../dict/entry.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import type { Answer } from './answer.ts';
import { DISTORTIONS, SIGNATURE_FAULTS, TRANSFER_FAULTS } from './answer-mark.ts';
import type { CreatedEntry, Scoped, SimulatorState, TamperOptions } from './control.ts';
import { FILE_VARIANTS } from './file-variant.ts';
import type { HttpHandler, HttpRequest } from './http-server.ts';
import { OPERATIONS } from './operation.ts';
import { isErrorName } from './problem.ts';

const ispb = z
  .string()
  .regex(/^[0-9]{8}$/, 'an ISPB has eight digits')
  .transform(participant);
const hex32 = z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hex digits are needed');
const scope = z.strictObject({ participant: ispb, keyType: z.enum(KEY_TYPES) });
const when = {
  log: z.boolean().default(false),
  at: z.iso.datetime().optional(),
  listedAfterMs: z.int().min(0).max(86_400_000).optional(),
};
const whenForm = z.object(when);
const entry = z.strictObject({
  key: z.string().min(1).max(77),
  keyType: z.enum(KEY_TYPES),
  account: z.strictObject({
    participant: ispb,
    branch: z.string().nullable(),
    accountNumber: z.string(),
    accountType: z.enum(ACCOUNT_TYPES),
    openingDate: z.iso.datetime(),
  }),
  owner: z.strictObject({
    type: z.enum(OWNER_TYPES),
    taxIdNumber: z.string(),
    name: z.string(),
    tradeName: z.string().nullable(),
  }),
});
const created = z.strictObject({ entry, requestId: z.uuid() });
const alteration = z
  .strictObject({
    branch: z.string().nullable(),
    accountNumber: z.string(),
    accountType: z.enum(ACCOUNT_TYPES),
    openingDate: z.iso.datetime(),
    ownerType: z.enum(OWNER_TYPES),
    taxIdNumber: z.string(),
    name: z.string(),
    tradeName: z.string().nullable(),
  })
  .partial();
const key = z.string().min(1);
const times = z.int().min(1).max(1_000).default(1);

const errorName = z.string().refine(isErrorName, 'no error of the DICT API that the simulator knows');
const transfer = z
  .strictObject({
    kind: z.enum(TRANSFER_FAULTS),
    afterBytes: z.int().min(0).optional(),
    pauseMs: z.int().min(0).max(60_000).optional(),
    byBytes: z.int().min(-1_000_000).max(1_000_000).optional(),
  })
  .transform(given);
const fault = z.strictObject({
  operation: z.enum([...OPERATIONS, 'any']),
  times: z.int().min(1).max(1_000_000),
  skip: z.int().min(0).default(0),
  when: z.enum(['before', 'after']).default('before'),
  delayMs: z.number().min(0).max(3_600_000).optional(),
  error: errorName.optional(),
  retryAfter: z.string().max(100).nullable().optional(),
  breakConnection: z.boolean().optional(),
  transfer: transfer.optional(),
  signature: z.enum(SIGNATURE_FAULTS).optional(),
  distortion: z.enum(DISTORTIONS).optional(),
});
const faultPlan = z.strictObject({ seed: z.int().min(0), rate: z.number().gt(0).max(1).default(0.05) });

/** One function of the interface: checks its input, does it, and says what to answer. */
type Action = (state: SimulatorState, input: unknown) => unknown;

function action<Input>(form: z.ZodType<Input>, run: (state: SimulatorState, input: Input) => unknown): Action {
  return (state, input) => run(state, form.parse(input)) ?? {};
}

const actions: Readonly<Record<string, Action>> = {
  'POST /seed-samples': action(
    scope.extend({ count: z.int().min(1).max(1_000_000), seed: z.int().default(1), first: z.int().min(0).default(0) }),
    (state, input) => ({ seeded: state.seedEntries(sampleEntries(input)) }),
  ),
  'POST /seed-entries': action(z.strictObject({ entries: z.array(created).max(10_000) }), (state, input) => ({
    seeded: state.seedEntries(input.entries satisfies CreatedEntry[]),
  })),
  'POST /alter': action(z.strictObject({ key, alteration, ...when }), (state, input) =>
    state.alter(input.key, given(input.alteration), tampering(input)),
  ),
  'POST /remove': action(z.strictObject({ key, ...when }), (state, input) => state.remove(input.key, tampering(input))),
  'POST /insert': action(z.strictObject({ created, ...when }), (state, input) => state.insert(input.created, tampering(input))),
  'POST /corrupt-vsync': action(scope.extend({ mask: hex32.nullable() }), (state, input) =>
    state.corruptVSync(input, input.mask),
  ),
  'POST /freeze-verifiers': action(scope.extend({ frozen: z.boolean() }), (state, input) =>
    state.freezeVerifiers(input, input.frozen),
  ),
  'POST /freeze-log': action(scope.extend({ frozen: z.boolean() }), (state, input) => state.freezeLog(input, input.frozen)),
  'POST /drop-events': action(scope.extend({ cids: z.array(hex32) }), (state, input) => ({
    dropped: state.dropEvents(input, input.cids),
  })),
  'POST /repeat-events': action(scope.extend({ cids: z.array(hex32) }), (state, input) => ({
    repeated: state.repeatEvents(input, input.cids),
  })),
  'POST /register-claim': action(
    z.strictObject({ type: z.enum(['OWNERSHIP', 'PORTABILITY']), claimer: entry }),
    (state, input) => ({
      id: state.registerClaim(input),
    }),
  ),
  'POST /cancel-claim': action(z.strictObject({ id: z.uuid() }), (state, input) => state.cancelClaim(input.id)),
  'POST /set-open-claim': action(z.strictObject({ key, since: z.iso.datetime().nullable() }), (state, input) =>
    state.setOpenClaim(input.key, input.since === null ? null : new Date(input.since)),
  ),
  'POST /set-blocked': action(z.strictObject({ key, blocked: z.boolean() }), (state, input) =>
    state.setBlocked(input.key, input.blocked),
  ),
  'POST /plan-file': action(z.strictObject({ variant: z.enum(FILE_VARIANTS), times }), (state, input) =>
    state.planFile(input.variant, input.times),
  ),
  'POST /add-fault': action(fault, (state, input) =>
    state.addFault({ ...given(input), operation: input.operation, times: input.times }),
  ),
  'POST /plan-faults': action(faultPlan, (state, input) => state.planFaults(input)),
  'POST /clear-faults': action(z.strictObject({}), (state) => state.clearFaults()),
  'POST /set-tokens': action(z.strictObject({ participant: ispb, policy: z.string(), tokens: z.int().min(0) }), (state, input) =>
    state.setTokens(input.participant, input.policy, input.tokens),
  ),
  'GET /vsync': action(scope, (state, input) => state.vsync(input)),
  'GET /entry': action(z.strictObject({ key }), (state, input) => ({ entry: state.entryByKey(input.key) })),
  'GET /events': action(scope, (state, input) => ({ events: state.events(input) })),
  'GET /drawn-faults': action(z.strictObject({}), (state) => ({ drawn: state.drawnFaults() })),
  'GET /counts': action(z.strictObject({}), (state) => state.counts()),
};

const entriesFilter = scope.partial();

/** Leaves out what is undefined: an absent property and an undefined one are not the same to the rest. */
function given<Value extends object>(value: Value): { [Name in keyof Value]: Exclude<Value[Name], undefined> } {
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  // The filter has just made it true; the compiler cannot follow it through Object.entries.
  return Object.fromEntries(entries) as { [Name in keyof Value]: Exclude<Value[Name], undefined> };
}

function tampering({ log, at, listedAfterMs }: z.infer<typeof whenForm>): TamperOptions {
  return { log, ...(at === undefined ? {} : { at: new Date(at) }), ...(listedAfterMs === undefined ? {} : { listedAfterMs }) };
}

/** Answers requests to the control interface. */
export function controlHandler(state: SimulatorState): HttpHandler {
  return async (request) => {
    if (!trusted(request)) return json(403, { error: 'only programs on this machine may use the control interface' });
    const url = URL.parse(request.url, 'http://control.invalid');
    if (url === null) return json(404, { error: 'the path is malformed', paths: paths() });
    try {
      const query = Object.fromEntries(url.searchParams);
      if (request.method === 'GET' && url.pathname === '/entries') return entryLines(state, entriesFilter.parse(query));
      const found = actions[`${request.method} ${url.pathname}`];
      if (found === undefined) return json(404, { error: `there is no ${request.method} ${url.pathname}`, paths: paths() });
      const input: unknown = request.method === 'GET' ? query : JSON.parse(new TextDecoder().decode(request.body) || '{}');
      return json(200, found(state, input));
    } catch (error) {
      if (error instanceof z.ZodError) return json(400, { error: z.prettifyError(error) });
      if (error instanceof Error) return json(400, { error: error.message });
      throw error;
    }
  };
}

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i;

function trusted(request: HttpRequest): boolean {
  return LOOPBACK.test(request.headers['host'] ?? '') && request.headers['origin'] === undefined;
}

function paths(): string[] {
  return ['GET /entries', ...Object.keys(actions)];
}

function json(status: number, value: unknown): Answer {
  return { status, headers: { 'Content-Type': 'application/json; charset=utf-8' }, body: `${JSON.stringify(value)}\n` };
}

const ENTRIES_PER_CHUNK = 1_000;

/** All active entries as NDJSON. */
function entryLines(state: SimulatorState, filter: { [Name in keyof Scoped]?: Scoped[Name] | undefined }): Answer {
  async function* lines(): AsyncGenerator<Uint8Array> {
    let chunk: string[] = [];
    for (const active of state.activeEntries(given(filter))) {
      chunk.push(JSON.stringify(active));
      if (chunk.length < ENTRIES_PER_CHUNK) continue;
      yield Buffer.from(`${chunk.join('\n')}\n`);
      chunk = [];
    }
    if (chunk.length > 0) yield Buffer.from(`${chunk.join('\n')}\n`);
  }
  return { status: 200, headers: { 'Content-Type': 'application/x-ndjson; charset=utf-8' }, body: lines() };
}
