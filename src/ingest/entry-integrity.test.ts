/** Every way in which a row and the CIDs of its key can disagree, and what each is called. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { oneSample, withAccount } from '../../test/support/key-events.ts';
import type { Cid } from '../cid/cid.ts';
import { computeCid } from '../cid/cid.ts';
import { checkKey } from './entry-integrity.ts';
import type { KeyState } from './stored-entry.ts';

const { entry, requestId } = oneSample('CPF');
const { key } = entry;
const right = computeCid(entry, requestId);
const wrong = computeCid(withAccount(entry, '9'), requestId);
const third = computeCid(withAccount(entry, '8'), requestId);

const origin = {
  participant: entry.account.participant,
  key,
  keyType: entry.keyType,
  requestIdSince: null,
  registeredAt: null,
  participantRegisteredAt: null,
  externalId: null,
  syncedFrom: null,
  orphanedAt: null,
  occurredAt: new Date(0),
  eventAction: null,
} as const;

function live(status: 'ACTIVE' | 'ORPHANED' | 'PENDING', cid: Cid = right): KeyState {
  return { ...origin, status, entry, requestId, cid };
}

const unresolved: KeyState = { ...origin, status: 'UNRESOLVED', entry, requestId: null, cid: null };
const deleted: KeyState = { ...origin, status: 'DELETED', entry: null, requestId, cid: null };

/** The row, the CIDs that count for its key, and what is found: kind and the CID that is believed. */
const table: readonly (readonly [string, KeyState | null, readonly Cid[], readonly (readonly [string, Cid | null])[]])[] = [
  ['an active entry whose CID counts', live('ACTIVE'), [right], []],
  ['an orphan', live('ORPHANED'), [], []],
  ['a kept orphan', live('PENDING'), [], []],
  ['an unresolved entry', unresolved, [], []],
  ['a tombstone', deleted, [], []],
  ['a key that neither has', null, [], []],
  ['attributes changed under the CID', live('ACTIVE', wrong), [wrong], [['altered', wrong]]],
  ['attributes and CID changed together', live('ACTIVE', right), [wrong], [['altered', wrong]]],
  ['only the CID column changed', live('ACTIVE', wrong), [right], [['altered', right]]],
  ['everything different', live('ACTIVE', wrong), [third], [['altered', third]]],
  ['an orphan changed under its CID', live('ORPHANED', wrong), [], [['altered', wrong]]],
  ['an active entry whose CID does not count', live('ACTIVE'), [], [['missing', right]]],
  ['a deleted row whose CID still counts', deleted, [right], [['surplus', right]]],
  ['a lost row whose CID still counts', null, [right], [['surplus', right]]],
  ['an orphan whose CID still counts', live('ORPHANED'), [right], [['surplus', right]]],
  ['a second CID that counts', live('ACTIVE'), [right, wrong], [['duplicated', wrong]]],
];

describe('a row and the CIDs that count for its key', () => {
  for (const [what, state, counting, expected] of table) {
    it(`${what}: ${expected.length === 0 ? 'sound' : expected.map(([kind]) => kind).join(', ')}`, () => {
      const findings = checkKey(key, state, counting, 'dict');
      assert.deepEqual(
        findings.map(({ kind, storedCid }) => [kind, storedCid]),
        expected,
      );
    });
  }
});
