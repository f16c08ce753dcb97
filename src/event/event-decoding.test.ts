/** What an event has to look like: every refusal with its reason and the field it names. Key states are entry-transition.test.ts. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { oneSample } from '../../test/support/key-events.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { decodeEvent } from './event-decoding.ts';
import { flatEntry } from './flat-entry.ts';
import type { DecodedEvent, InvalidReason, KeyEvent } from './key-event.ts';

const limits = { occurredAtMax: new Date('2026-12-01T00:00:00.000Z') };
const occurredAt = '2026-03-01T12:00:00.000Z';
const phone = oneSample('PHONE');
const company = oneSample('CNPJ');

function decode(value: unknown): DecodedEvent {
  return decodeEvent(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), limits);
}

function accepted(value: unknown): KeyEvent {
  const decoded = decode(value);
  assert.ok(decoded.valid, decoded.valid ? '' : decoded.detail);
  return decoded.event;
}

function created(payload: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    action: 'key.created',
    event_id: 'e1',
    occurred_at: occurredAt,
    payload: { ...flatEntry(phone.entry, phone.requestId), ...payload },
  };
}

function nestedOf({ entry, requestId }: typeof phone): Record<string, unknown> {
  const { account, owner } = entry;
  return {
    Key: entry.key,
    KeyType: entry.keyType,
    Account: {
      Participant: account.participant,
      Branch: account.branch,
      AccountNumber: account.accountNumber,
      AccountType: account.accountType,
      OpeningDate: account.openingDate,
    },
    Owner: { Type: owner.type, TaxIdNumber: owner.taxIdNumber, Name: owner.name, TradeName: owner.tradeName },
    RequestId: requestId,
  };
}

describe('an event that is well formed', () => {
  it('holds every kind of generated entry exactly as it was sent', () => {
    for (const keyType of KEY_TYPES) {
      for (const { entry, requestId } of sampleEntries({ seed: 7, participant: participant('00000001'), keyType, count: 200 })) {
        const event = accepted({ ...created(), payload: flatEntry(entry, requestId) });
        assert.ok(event.action === 'key.created');
        assert.deepEqual(event.entry, entry);
        assert.equal(event.requestId, requestId);
        assert.equal(event.participant, '00000001');
      }
    }
  });

  it("may nest its payload as DICT's own Entry, alone or beside its RequestId", () => {
    const { RequestId, ...entry } = nestedOf(company);
    for (const payload of [nestedOf(company), { Entry: entry, RequestId }]) {
      const event = accepted({ ...created(), payload });
      assert.ok(event.action === 'key.created');
      assert.deepEqual([event.entry, event.requestId], [company.entry, company.requestId]);
    }
  });

  it('may be a delete that names no key type: the format of a key tells it', () => {
    const event = accepted({
      action: 'key.deleted',
      occurred_at: occurredAt,
      payload: { key: phone.entry.key, ispb: '00038166' },
    });
    assert.deepEqual([event.action, event.keyType, event.participant], ['key.deleted', 'PHONE', '00038166']);
    const nested = { Key: company.entry.key, Participant: '00038166' };
    assert.equal(accepted({ action: 'key.deleted', occurred_at: occurredAt, payload: nested }).keyType, 'CNPJ');
  });

  it('may be an acknowledgement, with or without the CID that the core now holds', () => {
    const payload = { key: phone.entry.key, ispb: '00038166' };
    const base = { action: 'core.acknowledged', occurred_at: occurredAt };
    const plain = accepted({ ...base, payload });
    const withCid = accepted({ ...base, payload: { ...payload, cid: 'AB'.repeat(32) } });
    assert.ok(plain.action === 'core.acknowledged' && withCid.action === 'core.acknowledged');
    assert.deepEqual([plain.cid, withCid.cid], [null, 'ab'.repeat(32)]);
  });

  it('takes absent, null and empty for the same in optional fields', () => {
    for (const nothing of [undefined, null, '']) {
      const event = accepted(created({ branch: nothing, owner_trade_name: nothing, request_id: nothing }));
      assert.ok(event.action === 'key.created');
      assert.deepEqual([event.entry.account.branch, event.entry.owner.tradeName, event.requestId], [null, null, null]);
    }
  });

  it('passes over fields that nobody knows', () => {
    assert.ok(decode({ ...created({ colour: 'blue' }), version: 3 }).valid);
  });

  it('derives the id of an event that has none from its content, in whatever order its fields stand', () => {
    const { event_id: _none, ...event } = created();
    const id = accepted(event).eventId;
    assert.match(id, /^[0-9a-f]{64}$/);
    const turned = Object.fromEntries(Object.entries(flatEntry(phone.entry, phone.requestId)).reverse());
    assert.equal(accepted({ ...event, payload: turned }).eventId, id);
    assert.notEqual(accepted({ ...event, occurred_at: '2026-03-01T12:00:00.001Z' }).eventId, id);
    assert.notEqual(accepted({ ...event, action: 'key.updated' }).eventId, id);
  });
});

/** What is wrong with it, the reason, and what the sentence has to name. */
const refusals: readonly (readonly [string, unknown, InvalidReason, RegExp])[] = [
  ['bytes that are no JSON', '{"action":', 'not_json', /^event: not a JSON object/],
  ['a list', '[1]', 'not_an_object', /^event: a list/],
  ['no action', { ...created(), action: undefined }, 'missing_field', /^action: missing; it must be one of key\.created/],
  [
    'an unknown action',
    { ...created(), action: 'key.moved' },
    'unknown_action',
    /^action: "key\.moved" is not one of key\.created/,
  ],
  ['no time', { ...created(), occurred_at: undefined }, 'missing_field', /^occurred_at: missing/],
  [
    'a time without zone',
    { ...created(), occurred_at: '2026-03-01T12:00:00' },
    'invalid_field',
    /^occurred_at: "2026-03-01T12:00:00"/,
  ],
  ['30 February', { ...created(), occurred_at: '2026-02-30T12:00:00Z' }, 'invalid_field', /^occurred_at/],
  ['a time as a number', { ...created(), occurred_at: 1_767_225_600 }, 'invalid_field', /^occurred_at: the number 1767225600/],
  ['a time in the future', { ...created(), occurred_at: '2027-01-01T00:00:00Z' }, 'time_in_future', /^occurred_at: 2027/],
  ['no payload', { ...created(), payload: undefined }, 'missing_field', /^payload: missing/],
  ['an event id with a line break', { ...created(), event_id: 'a\nb' }, 'invalid_field', /^event_id/],
  ['an event id of 201 characters', { ...created(), event_id: 'x'.repeat(201) }, 'invalid_field', /^event_id/],
  ['an ISPB as a number', created({ ispb: 38166 }), 'invalid_field', /^ispb: the number 38166 .* "00038166"/],
  ['an ISPB of seven digits', created({ ispb: '0038166' }), 'invalid_field', /^ispb: "0038166"/],
  ['no key', created({ key: '' }), 'missing_field', /^key: missing/],
  ['no key type', created({ key_type: null }), 'missing_field', /^key_type: missing; it must be one of CPF/],
  ['an unknown key type', created({ key_type: 'IBAN' }), 'invalid_field', /^key_type: "IBAN"/],
  [
    'a phone without plus sign',
    created({ key: '5511987654321' }),
    'invalid_field',
    /^key: "9999999999999" is not a key of type PHONE/,
  ],
  ['a phone that begins with 0', created({ key: '+05511987654321' }), 'invalid_field', /is not a key of type PHONE/],
  [
    'a CPF with dots',
    created({ key: '529.982.247-25', key_type: 'CPF' }),
    'invalid_field',
    /^key: "999\.999\.999-99" is not a key of type CPF/,
  ],
  [
    'an e-mail in upper case',
    created({ key: 'A@b.example', key_type: 'EMAIL' }),
    'invalid_field',
    /is not a key of type EMAIL: an e-mail/,
  ],
  ['an e-mail of 78 characters', created({ key: `${'a'.repeat(70)}@b.local`, key_type: 'EMAIL' }), 'invalid_field', /^key/],
  ['an EVP without hyphens', created({ key: 'a'.repeat(32), key_type: 'EVP' }), 'invalid_field', /is not a key of type EVP/],
  ['a branch of five digits', created({ branch: '00001' }), 'invalid_field', /^branch: "99999"/],
  ['an account number with a letter', created({ account_number: '12345-X' }), 'invalid_field', /^account_number: "99999-a"/],
  ['no account number', created({ account_number: undefined }), 'missing_field', /^account_number: missing/],
  ['an unknown account type', created({ account_type: 'GOLD' }), 'invalid_field', /^account_type: "GOLD" is not one of CACC/],
  ['no opening date', created({ account_opened_at: undefined }), 'missing_field', /^account_opened_at: missing/],
  ['an opening date without time', created({ account_opened_at: '2020-01-01' }), 'invalid_field', /^account_opened_at/],
  ['an unknown owner type', created({ owner_type: 'PF' }), 'invalid_field', /^owner_type: "PF"/],
  ['a tax id with dots', created({ owner_tax_id: '529.982.247-25' }), 'invalid_field', /^owner_tax_id: "999\.999/],
  [
    'a company with a CPF',
    { ...created(), payload: { ...flatEntry(company.entry), owner_tax_id: '52998224725' } },
    'invalid_field',
    /CNPJ/,
  ],
  ['a name of 151 characters', created({ owner_name: 'a'.repeat(151) }), 'invalid_field', /^owner_name/],
  ['a name with a digit', created({ owner_name: 'Jos3' }), 'invalid_field', /^owner_name: "aaa9"/],
  ['a name with a combining accent', created({ owner_name: 'Joa\u0303o' }), 'invalid_field', /^owner_name: .*NFC/],
  [
    'a trade name of a person',
    created({ owner_trade_name: 'Padaria' }),
    'invalid_field',
    /^owner_trade_name: .*only legal persons/,
  ],
  ['a RequestId that is no UUID', created({ request_id: '123' }), 'invalid_field', /^request_id: "123" is not a UUID/],
  [
    'a nested account without number',
    { ...created(), payload: { ...nestedOf(phone), Account: { Participant: '00038166' } } },
    'missing_field',
    /^Account\.AccountNumber/,
  ],
  [
    'a delete of what is no key',
    { ...created(), action: 'key.deleted', payload: { key: 'abc', ispb: '00038166' } },
    'invalid_field',
    /^key: "aaa" has the format of none/,
  ],
];

describe('an event that is not well formed', () => {
  for (const [what, value, reason, detail] of refusals) {
    it(`is refused for ${what}, and told what would be right`, () => {
      const decoded = decode(value);
      assert.ok(!decoded.valid);
      assert.equal(decoded.reason, reason);
      assert.match(decoded.detail, detail);
    });
  }

  it('is refused for bytes that are not UTF-8, before they are replaced by anything', () => {
    const bytes = Buffer.from(JSON.stringify(created({ owner_name: 'Jo\u00e3o' })), 'latin1');
    const decoded = decodeEvent(bytes, limits);
    assert.ok(!decoded.valid && decoded.reason === 'not_json');
  });

  it('still says whose it is and under which id, where these can be read', () => {
    const decoded = decode(created({ branch: 'x' }));
    assert.ok(!decoded.valid);
    assert.deepEqual([decoded.eventId, decoded.participant], ['e1', '00038166']);
  });

  it('never shows a name, a key or a tax id', () => {
    for (const field of ['key', 'owner_name', 'owner_tax_id', 'account_number']) {
      const decoded = decode(created({ [field]: 'Maria 52998224725 #' }));
      assert.ok(!decoded.valid);
      assert.doesNotMatch(decoded.detail, /Maria|52998224725/);
    }
  });

  it('never makes decoding throw, whatever the bytes', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .object({ key: fc.constantFrom('action', 'occurred_at', 'payload', 'key', 'Entry', 'Account') })
        .map((value) => Buffer.from(JSON.stringify(value))),
      fc
        .dictionary(fc.constantFrom(...Object.keys(flatEntry(phone.entry))), fc.anything({ withBigInt: false }))
        .map((payload) => {
          const text = JSON.stringify({ ...created(), payload: { ...flatEntry(phone.entry), ...payload } });
          return Buffer.from(text);
        }),
    );
    fc.assert(
      fc.property(anything, (bytes) => {
        const decoded = decodeEvent(bytes, limits);
        assert.equal(typeof decoded.valid, 'boolean');
      }),
      { numRuns: 500 },
    );
  });
});
