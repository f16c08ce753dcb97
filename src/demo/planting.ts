/**
 * What goes wrong in the story, each thing in the way that only one rung of the ladder is made for: changes that DICT's log tells of
 * and our core never heard, changes without a log event, rows of ours altered under their stored CID, a key whose creation we never saw.
 */

import { KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import { type SampleEntry, sampleEntries } from '../dict/sample-entries.ts';
import { unreachable } from '../platform/assert.ts';
import type { Clock } from '../platform/clock.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { SimulatorState } from '../simulator/control.ts';
import type { CoreEvent } from './event-feed.ts';
import type { Population } from './population.ts';
import { type DemoOptions, OURS } from './settings.ts';

/** Which rung of the ladder is to find it. */
export type PlantedRung = 'log' | 'residual' | 'file' | 'scan';

/** What reconciliation is to call it. */
export type PlantedKind = 'missing_local' | 'outdated_local' | 'orphaned' | 'unresolved' | 'altered';

type Deed = 'alter' | 'insert' | 'delete' | 'alter-row' | 'insert-half-told';

export interface Plan {
  readonly deed: Deed;
  readonly keyType: KeyType;
  readonly rung: PlantedRung;
}

export interface Planted extends Plan {
  readonly key: string;
  readonly kind: PlantedKind;
}

export interface PlantingDeps {
  readonly state: SimulatorState;
  readonly database: Sql;
  readonly clock: Clock;
  readonly push: (event: CoreEvent) => void;
}

const kindOf: Readonly<Record<Deed, PlantedKind>> = {
  alter: 'outdated_local',
  insert: 'missing_local',
  delete: 'orphaned',
  'alter-row': 'altered',
  'insert-half-told': 'unresolved',
};

/** Once: one hidden CID is a residual that DICT can be asked about by itself; one key whose creation our core never told of. */
const once: readonly Plan[] = [
  { deed: 'insert', keyType: 'CNPJ', rung: 'residual' },
  { deed: 'insert-half-told', keyType: 'EVP', rung: 'log' },
];

/** Again and again. Several hidden changes of one type leave a residual that is no single CID: only the file can tell them apart. */
const repeated: readonly Plan[] = [
  { deed: 'alter', keyType: 'CPF', rung: 'log' },
  { deed: 'alter', keyType: 'PHONE', rung: 'file' },
  { deed: 'alter-row', keyType: 'EVP', rung: 'scan' },
  { deed: 'insert', keyType: 'EMAIL', rung: 'file' },
  { deed: 'insert', keyType: 'CPF', rung: 'log' },
  { deed: 'delete', keyType: 'PHONE', rung: 'file' },
  { deed: 'alter', keyType: 'EMAIL', rung: 'file' },
  { deed: 'delete', keyType: 'CPF', rung: 'log' },
  { deed: 'insert', keyType: 'PHONE', rung: 'file' },
  { deed: 'alter-row', keyType: 'CNPJ', rung: 'scan' },
  { deed: 'delete', keyType: 'EMAIL', rung: 'file' },
  { deed: 'alter', keyType: 'EVP', rung: 'log' },
];

/** Fewer would leave a rung without work. */
export const PLANTED_MIN = once.length + repeated.length;

/** A run with more settled divergences than 100 waits for a person's approval. */
export const PLANTED_MAX = 100;

function plansOf(count: number): Plan[] {
  return Array.from({ length: count }, (_, index) => {
    const plan = once[index] ?? repeated[(index - once.length) % repeated.length];
    if (plan === undefined) throw new RangeError(`no plan for divergence ${index}`);
    return plan;
  });
}

/** Keys that only DICT will have: generated apart from all others. */
const firstInserted = 1_000_000;

/** What a deed may be done to, by key type: keys that are there, and keys that are nowhere yet. */
export type Supply = ReadonlyMap<KeyType, { readonly known: Iterator<SampleEntry>; readonly fresh: Iterator<SampleEntry> }>;

/** Does it all, what happens at DICT at one moment, and returns what was done: what the demo is judged by at its end. */
export async function plant(deps: PlantingDeps, options: DemoOptions, population: Population): Promise<Planted[]> {
  const supply = new Map(
    KEY_TYPES.map((keyType) => {
      const known = (population.forPlanting.get(keyType) ?? []).values();
      return [keyType, { known, fresh: freshEntries(options.seed, keyType, options.divergences) }];
    }),
  );
  const planted = plantEach(deps, plansOf(options.divergences), supply);
  for (const { deed, key } of planted) if (deed === 'alter-row') await alterRow(deps.database, key);
  return planted;
}

/** Keys that only DICT will have. */
export function freshEntries(seed: number, keyType: KeyType, count: number): Iterator<SampleEntry> {
  return sampleEntries({ seed, participant: OURS, keyType, count, first: firstInserted });
}

/** Does what is done at DICT, each thing to the next key of its supply. */
export function plantEach(deps: Omit<PlantingDeps, 'database'>, plans: readonly Plan[], supply: Supply): Planted[] {
  return plans.map((plan) => {
    const isNew = plan.deed === 'insert' || plan.deed === 'insert-half-told';
    const next = supply.get(plan.keyType)?.[isNew ? 'fresh' : 'known'].next();
    if (next === undefined || next.done === true)
      throw new RangeError(`too few ${plan.keyType} keys for ${plans.length} divergences`);
    tamper(deps, plan, next.value);
    return { ...plan, key: next.value.entry.key, kind: kindOf[plan.deed] };
  });
}

/** At DICT, as the Central Bank does in homologation. */
function tamper(deps: Omit<PlantingDeps, 'database'>, plan: Plan, target: SampleEntry): void {
  const { state } = deps;
  const { entry } = target;
  const log = plan.rung === 'log';
  switch (plan.deed) {
    case 'alter':
      state.alter(entry.key, { branch: '4321', accountNumber: `9${entry.account.accountNumber.slice(1)}` }, { log });
      return;
    case 'insert':
      state.insert(target, { log });
      return;
    case 'delete':
      state.remove(entry.key, { log });
      return;
    case 'insert-half-told':
      state.insert(target, { log });
      deps.push({ action: 'key.updated', entry, occurredAt: deps.clock.now() });
      return;
    case 'alter-row':
      return;
    default:
      unreachable(plan.deed);
  }
}

/** Somebody with access to the database moves an account; the CID beside it goes on saying what was there before. */
async function alterRow(sql: Sql, key: string): Promise<void> {
  const { rowCount } = await sql.query(
    `UPDATE dict_entries SET account_number = '6666666666' WHERE participant = $1 AND key = $2 AND status = 'ACTIVE'`,
    [OURS, key],
  );
  if (rowCount !== 1) throw new Error('the row to alter is not in the base');
}
