/** Errors of DICT cross the wire whole, whatever they are called, and stay small enough for the trailers that carry them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import * as fc from 'fast-check';
import { DictError } from '../../dict/errors.ts';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from './generated/google/rpc/error_details_pb.ts';
import { statusCodeOf } from './status-code.ts';
import { dictErrorOf, statusBytes, statusIn, statusOf } from './status-details.ts';

/** All that a `DictError` says, for comparison. */
function sayingOf({ kind, status, remedy, message, detail, correlationId, violations, retryAfterSec }: DictError) {
  return { kind, status, remedy, message, detail, correlationId, violations, retryAfterSec };
}

function returned(error: DictError): DictError {
  const back = statusIn(statusBytes(statusOf(error)));
  const read = back === null ? null : dictErrorOf(back);
  assert.ok(read !== null);
  return read;
}

/** Every name that the map of errors decides about, read from its source: what is added there is tried here without a change. */
const mapped = [
  ...readFileSync(new URL('../../dict/errors.ts', import.meta.url), 'utf8').matchAll(
    /^ {2}\['(\w+)', '(?:retry|final|person)'\],$/gm,
  ),
].map(([, kind = '']) => kind);

describe('status of an error', () => {
  it('is tried with every name of the map', () => {
    assert.ok(mapped.length >= 28 && mapped.includes('RateLimited') && mapped.includes('NoTokens'), mapped.join(' '));
  });

  for (const kind of [...mapped, 'ANameThatDictHasAddedSince']) {
    it(`brings back ${kind} as it was`, () => {
      const error = new DictError(kind, kind === 'Unreachable' ? 0 : 400, `getEntryByCid: DICT answered 400 ${kind}`, {
        detail: 'A chave de João não pode ser lida',
        correlationId: 'a9f13566e19f5ca51329479a5bae60c5',
        violations: [
          { reason: 'formato inválido', value: 'João & Maria', property: 'entry.owner.name' },
          { reason: '', value: null, property: null },
          { reason: 'x', value: '', property: '' },
        ],
        retryAfterSec: 17,
      });
      assert.deepEqual(sayingOf(returned(error)), sayingOf(error));
      const bare = new DictError(kind, 0, 'x');
      assert.deepEqual(sayingOf(returned(bare)), sayingOf(bare));
    });
  }

  it('brings back any error that fits', () => {
    const short = (maxLength: number) => fc.string({ unit: 'grapheme', maxLength });
    const violation = fc.record(
      { reason: short(20), value: fc.option(short(20)), property: fc.option(short(20)) },
      { noNullPrototype: true },
    );
    const errors = fc.record({
      kind: fc.stringMatching(/^[A-Z][A-Za-z0-9]{0,40}$/),
      status: fc.integer({ min: 0, max: 599 }),
      message: short(50),
      detail: fc.option(short(20)),
      correlationId: fc.option(short(10)),
      violations: fc.array(violation, { maxLength: 2 }),
      retryAfterSec: fc.option(fc.integer({ min: 0, max: 999_999_999 })),
    });
    fc.assert(
      fc.property(errors, ({ kind, status, message, ...more }) => {
        const error = new DictError(kind, status, message, more);
        assert.deepEqual(sayingOf(returned(error)), sayingOf(error));
      }),
    );
  });

  it('says the same in the standard’s details', () => {
    const violations = [{ reason: 'invalid', value: 'abc', property: 'cid' }];
    const error = new DictError('RateLimited', 429, 'x', { correlationId: 'c-1', violations, retryAfterSec: 30 });
    const { code, details } = statusOf(error);
    const [, info, request, bad, retry] = details;
    assert.ok(info && request && bad && retry);
    assert.equal(code, status.RESOURCE_EXHAUSTED);
    const { reason, domain, metadata } = anyUnpack(info, ErrorInfoSchema) ?? {};
    assert.deepEqual(
      { reason, domain, metadata },
      {
        reason: 'RATE_LIMITED',
        domain: 'dict.bridge.v1',
        metadata: { kind: 'RateLimited', http_status: '429', remedy: 'retry' },
      },
    );
    assert.equal(anyUnpack(request, RequestInfoSchema)?.requestId, 'c-1');
    const [field] = anyUnpack(bad, BadRequestSchema)?.fieldViolations ?? [];
    assert.deepEqual([field?.field, field?.description, field?.reason], ['cid', 'abc', 'invalid']);
    assert.equal(anyUnpack(retry, RetryInfoSchema)?.retryDelay?.seconds, 30n);
  });

  it('stays below 8 KiB of trailers, and counts what it left out', () => {
    const violations = Array.from({ length: 100 }, (_, index) => ({
      reason: `Razão número ${index}`,
      value: 'á'.repeat(40),
      property: 'entry.owner.name',
    }));
    const error = new DictError('BadRequest', 400, 'ção'.repeat(2_000), {
      detail: 'é'.repeat(5_000),
      correlationId: 'x'.repeat(5_000),
      violations,
    });
    const told = statusOf(error);
    const trailers = statusBytes(told).toString('base64').length + encodeURI(told.message).length;
    assert.ok(trailers < 8_000, `${trailers} characters`);
    const back = returned(error);
    assert.equal(back.kind, 'BadRequest');
    assert.ok(back.violations.length > 5 && back.violations.length < 100);
    assert.deepEqual(back.violations, violations.slice(0, back.violations.length));
    assert.match(back.message, /^(ção)+(ç|çã)?…$/);
  });

  it('is null for bytes and for a status of somebody else’s', () => {
    assert.equal(statusIn(Buffer.from('no protobuf at all')), null);
    const foreign = statusOf(new DictError('NotFound', 404, 'x'));
    foreign.details = foreign.details.slice(1);
    assert.equal(dictErrorOf(foreign), null);
  });
});

describe('status code', () => {
  it('of a name that nobody knows yet follows from the HTTP status', () => {
    const codes = [400, 401, 403, 404, 410, 409, 429, 500, 503, 0].map((http) => statusCodeOf(new DictError('Novo', http, 'x')));
    assert.deepEqual(
      codes.map((code) => status[code]),
      ['INVALID_ARGUMENT', 'PERMISSION_DENIED', 'PERMISSION_DENIED', 'NOT_FOUND', 'NOT_FOUND', 'FAILED_PRECONDITION'].concat([
        'RESOURCE_EXHAUSTED',
        'UNAVAILABLE',
        'UNAVAILABLE',
        'FAILED_PRECONDITION',
      ]),
    );
    const lost = { kind: 'ANameOfTheWay', status: 0, remedy: 'retry' } as const;
    assert.equal(statusCodeOf(lost), status.UNAVAILABLE, 'nothing came back, and asking again may help');
  });
});
