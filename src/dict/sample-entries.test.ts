/** Generated entries are valid by rules worded anew here, never by the generator's own code. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KEY_TYPES, type KeyType } from './key-type.ts';
import { participant } from './participant.ts';
import { sampleEntries } from './sample-entries.ts';

const ours = participant('00038166');
const take = (keyType: KeyType, count: number, seed: number | string = 1, first = 0) => [
  ...sampleEntries({ seed, participant: ours, keyType, count, first }),
];

/** Check digits by the rule as the tax authority words it: weights from left to right. */
function hasRightCheckDigits(digits: string, weights: readonly number[]): boolean {
  const checkOf = (text: string, by: readonly number[]): number => {
    const rest = [...text].reduce((sum, digit, at) => sum + Number(digit) * (by[at] ?? 0), 0) % 11;
    return rest < 2 ? 0 : 11 - rest;
  };
  const body = digits.slice(0, -2);
  const first = checkOf(body, weights.slice(1));
  return digits === `${body}${first}${checkOf(`${body}${first}`, weights)}`;
}

const cpfWeights = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2];
const cnpjWeights = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];

const keyForms: Readonly<Record<KeyType, RegExp>> = {
  CPF: /^[0-9]{11}$/,
  CNPJ: /^[0-9]{14}$/,
  PHONE: /^\+55[1-9][0-9]9[0-9]{8}$/,
  EMAIL: /^[a-z]+\.[a-z]+[0-9]+@(example\.com|example\.org|mail\.example|correio\.example)$/,
  EVP: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
};

describe('sample entries', () => {
  for (const keyType of KEY_TYPES) {
    it(`are valid and different: ${keyType}`, () => {
      const samples = take(keyType, 5_000);
      assert.equal(new Set(samples.map(({ entry }) => entry.key)).size, 5_000);
      assert.equal(new Set(samples.map(({ requestId }) => requestId)).size, 5_000);
      for (const { entry, requestId } of samples) {
        const { account, owner } = entry;
        assert.match(entry.key, keyForms[keyType]);
        assert.match(requestId, keyForms.EVP);
        assert.equal(account.participant, ours);
        assert(account.branch === null || /^[0-9]{4}$/.test(account.branch));
        assert.match(account.accountNumber, /^[0-9]{10}$/);
        assert.equal(new Date(account.openingDate).toISOString(), account.openingDate);
        const isCpf = owner.type === 'NATURAL_PERSON';
        assert(hasRightCheckDigits(owner.taxIdNumber, isCpf ? cpfWeights : cnpjWeights), owner.taxIdNumber);
        assert.doesNotMatch(owner.taxIdNumber, /^(.)\1*$/);
        assert.match(owner.name, isCpf ? /^[A-Za-zÀ-ÖØ-öø-ÿ' -]+$/ : /^[\u0020-\u007E\u00A1-\u00FF]+$/);
        assert.equal(owner.name, owner.name.normalize('NFC'));
        if (isCpf) assert.equal(owner.tradeName, null);
      }
    });
  }

  it('follow from the seed, and others from another seed, participant or number', () => {
    assert.deepEqual(take('CPF', 50), take('CPF', 50));
    assert.deepEqual(take('CPF', 10, 1, 40), take('CPF', 50).slice(40));
    const ownKeys = new Set(take('PHONE', 500).map(({ entry }) => entry.key));
    const overlap = (samples: ReturnType<typeof take>) => samples.filter(({ entry }) => ownKeys.has(entry.key)).length;
    assert.equal(overlap(take('PHONE', 500)), 500);
    assert.equal(overlap(take('PHONE', 500, 2)), 0);
    const theirs = [...sampleEntries({ seed: 1, participant: participant('00000208'), keyType: 'PHONE', count: 500 })];
    assert.equal(overlap(theirs), 0);
  });

  it('include what is easily broken: accents, & and apostrophes, missing branches, leading zeros', () => {
    const samples = [...take('CNPJ', 300), ...take('CPF', 300)];
    const some = (test: (sample: (typeof samples)[number]) => boolean) => assert(samples.some(test));
    some(({ entry }) => /[ãçé]/.test(entry.owner.name));
    some(({ entry }) => entry.owner.name.includes('&'));
    some(({ entry }) => entry.owner.name.includes("'"));
    some(({ entry }) => entry.account.branch === null);
    some(({ entry }) => entry.account.accountNumber.startsWith('0'));
    some(({ entry }) => entry.key.startsWith('0'));
    some(({ entry }) => entry.owner.tradeName?.includes('&') === true);
  });
});
