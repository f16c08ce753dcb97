/**
 * The expected CIDs were made by running the original code of this algorithm (class GeradorCID, version 1.0) on the same input,
 * and are frozen here: they must never change. That code came without its enumeration of key types; CPF, CNPJ, PHONE, EMAIL and
 * EVP stood in as their own names, as its comments have them.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canonicalJson } from './canonical-json-cid.ts';
import { type CidEntry, cidToHex, computeCid } from './cid.ts';

const requestId = 'a946d533-7f22-42a5-9a9b-e87cd55c0f4d';
const account = {
  participant: '12345678',
  branch: '0001',
  accountNumber: '0007654321',
  accountType: 'CACC',
  openingDate: '2010-01-10T03:00:00Z',
};
const owner = { type: 'NATURAL_PERSON', taxIdNumber: '11122233300', name: 'João Silva' };
const dates = { registeredAt: '2019-11-18T03:00:00Z', participantRegisteredAt: '2019-11-19T04:05:06.789Z' };

const frozen: readonly [title: string, cid: string, entry: CidEntry][] = [
  [
    'CPF',
    '829a27ea67940d753a4339d9d8dd17b354784e38606ecb9f3793d217cafc6d48',
    { key: '11122233300', keyType: 'CPF', account, owner, ...dates },
  ],
  [
    'CPF with punctuation, key and ISPB without their leading zeros',
    'c03f34f63c908160b5d9e2bfb597976921252c50c63a56935a659ef3545f9266',
    {
      key: '1.122.233-30',
      keyType: 'CPF',
      account: { ...account, participant: '345678' },
      owner: { ...owner, taxIdNumber: '011.222.333-00' },
      ...dates,
    },
  ],
  [
    'CNPJ with trade name, spaces and lower case',
    '885174d94df8df193c16ebd3518107e8a47f94c397b125459fd308d2227f6961',
    {
      key: '11.222.333/0001-50',
      keyType: 'CNPJ',
      account: { ...account, accountType: 'TRAN' },
      owner: {
        type: 'LEGAL_PERSON',
        taxIdNumber: '11222333000150',
        name: ' Padaria Três Irmãos & Cia ',
        tradeName: 'Padaria 3 Irmãos',
      },
      ...dates,
    },
  ],
  [
    'PHONE with punctuation, without branch',
    '12c71a4df337f1410ef05c23f5e09b8259656c575cade234ada5b6bc929daf7d',
    { key: '+55 (11) 98765-4321', keyType: 'PHONE', account: { ...account, branch: null }, owner, ...dates },
  ],
  [
    'EMAIL with capitals and a space',
    '2bc4d47f5a327840edec98e3b29fa33b9a37a17c4b6a35030fa3ef8733090d18',
    { key: ' Joao.Silva@Example.COM', keyType: 'EMAIL', account: { ...account, accountType: 'SVGS' }, owner, ...dates },
  ],
  [
    'EVP in capitals',
    '3ad3b2371101bb09700fe584ea71babb636e27019812205b7b7123e52b5b043a',
    { key: '123E4567-E89B-12D3-A456-426655440000', keyType: 'EVP', account, owner, ...dates },
  ],
];

const plainEntry: CidEntry = { key: '11122233300', keyType: 'CPF', account, owner, ...dates };

describe('a CID under canonical-json-1.0', () => {
  for (const [title, cid, entry] of frozen) {
    it(`is what the original made: ${title}`, () => {
      assert.equal(cidToHex(computeCid(entry, requestId, 'canonical-json-1.0')), cid);
    });
  }

  it('hashes names in alphabetical order and normalised values, leaving absent ones out', () => {
    const { registeredAt: _, ...undated } = plainEntry;
    assert.equal(
      canonicalJson({ ...undated, participantRegisteredAt: null }, requestId),
      '{"chave":"11122233300","cpfCnpj":"11122233300","dataAberturaConta":"2010-01-10T03:00:00.000Z","ispbParticipante":"12345678",' +
        '"naturezaJuridica":"PF","nome":"JOÃO SILVA","numeroAgencia":"0001","numeroConta":"0007654321",' +
        `"requestId":"${requestId}","tipoChave":"CPF","tipoConta":"CACC","versao":"1.0"}`,
    );
    const names = Object.keys(JSON.parse(canonicalJson({ ...plainEntry, owner: { ...owner, tradeName: 'x' } }, requestId)));
    assert.deepEqual(names, names.toSorted());
  });

  it('hashes the RequestId in lower case, as the base keeps it', () => {
    assert.equal(canonicalJson(plainEntry, requestId.toUpperCase()), canonicalJson(plainEntry, requestId));
  });

  it('depends on the dates of registration', () => {
    const later = { ...plainEntry, registeredAt: '2019-11-18T03:00:00.001Z' };
    const hexOf = (entry: CidEntry) => cidToHex(computeCid(entry, requestId, 'canonical-json-1.0'));
    assert.notEqual(hexOf(later), hexOf(plainEntry));
  });

  it('is refused with the field where the key type, a date or the RequestId is none', () => {
    const refused = (entry: CidEntry, id: string, message: RegExp) =>
      assert.throws(() => computeCid(entry, id, 'canonical-json-1.0'), { name: 'TypeError', message });
    refused({ ...plainEntry, keyType: 'CAR' }, requestId, /^key_type: "CAR" is unknown/);
    refused({ ...plainEntry, registeredAt: 'yesterday' }, requestId, /^registered_at: "yesterday" is not a date and time/);
    refused(plainEntry, 'x', /^request_id: "x" is not a UUID/);
  });
});
