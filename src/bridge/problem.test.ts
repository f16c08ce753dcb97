/** Problem documents in every form, as errors; and how long `Retry-After` asks to wait, whatever stands in it. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dictSide, participantSide } from '../../test/support/signed-sides.ts';
import { DictError } from '../dict/errors.ts';
import { certificateStore } from '../platform/certificate.ts';
import { type Signatures, signedRoot } from './answer-signature.ts';
import { problemOf } from './problem.ts';

const now = new Date('2026-11-06T08:49:37.500Z');
const NAMESPACE = 'urn:ietf:rfc:7807';
const BASE = 'https://dict.pi.rsfn.net.br/api/v2/error/';

interface Given {
  readonly status?: number;
  readonly body: string;
  readonly type?: string;
  readonly retryAfter?: string;
  readonly signatures?: Signatures;
}

function read({ status = 400, body, type = 'application/problem+xml', retryAfter, signatures }: Given): DictError {
  const headers = { 'content-type': type, ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }) };
  return problemOf('anOperation', { status, headers, body: Buffer.from(body) }, now, (root) =>
    signatures === undefined ? root : signedRoot(signatures, root, { operation: 'anOperation', status, now }),
  );
}

const whole = (prefix: string): string => {
  const p = prefix === '' ? '' : `${prefix}:`;
  const declared = prefix === '' ? 'xmlns' : `xmlns:${prefix}`;
  return `<${p}problem ${declared}="${NAMESPACE}"><${p}type>${BASE}EntryInvalid</${p}type><${p}title>t</${p}title><${p}status>400</${p}status><${p}detail>Chave +5561988887777 inválida</${p}detail><${p}correlationId>c-1</${p}correlationId><${p}violations><${p}violation><${p}reason>r</${p}reason><${p}value>v</${p}value><${p}property>entry.key</${p}property></${p}violation></${p}violations></${p}problem>`;
};

describe('a problem document', () => {
  for (const prefix of ['', 'ns2', 'p', 'problem', 'dict-v2.x']) {
    it(`is read under ${prefix === '' ? 'no prefix' : `the prefix ${prefix}`}: name, status, detail, correlation id, violations`, () => {
      const error = read({ body: whole(prefix) });
      assert.deepEqual(
        [error.kind, error.status, error.remedy, error.detail, error.correlationId, error.violations],
        [
          'EntryInvalid',
          400,
          'final',
          'Chave +5561988887777 inválida',
          'c-1',
          [{ reason: 'r', value: 'v', property: 'entry.key' }],
        ],
      );
      assert.doesNotMatch(error.message, /5561988887777/);
    });
  }

  const kinds: readonly (readonly [string, number, string, string])[] = [
    ['an unknown name', 400, `<type>${BASE}EntryFrozenSince2027</type>`, 'EntryFrozenSince2027'],
    ['another host', 403, '<type>https://elsewhere.example/e/Forbidden/</type>', 'Forbidden'],
    ['a name alone', 404, '<type>NotFound</type>', 'NotFound'],
    ['no type', 503, '', 'ServiceUnavailable'],
    ['no type, and no DICT behind the 404', 404, '', 'InvalidAnswer'],
    ['about:blank', 404, '<type>about:blank</type>', 'InvalidAnswer'],
    ['a type that is no name', 429, '<type>https://x/error/4711</type>', 'RateLimited'],
    ['a name of the bridge’s own', 400, `<type>${BASE}Unreachable</type>`, 'InvalidAnswer'],
    ['another such name', 503, `<type>${BASE}NoTokens</type>`, 'ServiceUnavailable'],
    [
      'unknown fields, sections and attributes',
      400,
      `<x a="1"><y/></x><type z="2">${BASE}BadRequest</type><violations><other/><violation><reason>r</reason><severity>9</severity></violation></violations>`,
      'BadRequest',
    ],
  ];
  for (const [what, status, inside, kind] of kinds) {
    it(`with ${what} is ${kind}`, () => {
      const error = read({ status, body: `<problem xmlns="${NAMESPACE}">${inside}<status>${status}</status></problem>` });
      assert.deepEqual([error.kind, error.status], [kind, status]);
    });
  }

  const foreign: readonly (readonly [string, Given, RegExp])[] = [
    ['another namespace', { body: whole('').replace(NAMESPACE, 'urn:x') }, /its root is another element/],
    [
      'another root',
      { body: whole('').replaceAll('problem ', 'fault ').replace('</problem>', '</fault>') },
      /its root is another element/,
    ],
    ['another media type', { body: whole(''), type: 'application/problem+json' }, /its content type is not XML/],
    ['no XML', { body: '<html><body>502' }, /XML: /],
    ['a status that HTTP contradicts', { body: whole(''), status: 404 }, /its status contradicts that of HTTP/],
  ];
  for (const [what, given, why] of foreign) {
    it(`with ${what} is none, and no word of DICT’s`, () => {
      const error = read(given);
      assert.deepEqual([error.kind, error.remedy, error.correlationId], ['InvalidAnswer', 'person', null]);
      assert.match(error.message, why);
    });
  }

  it('without end is cut: detail, correlation id and violations', () => {
    const violations = '<violation><reason>r</reason></violation>'.repeat(1_000);
    const error = read({
      body: `<problem xmlns="${NAMESPACE}"><type>${BASE}BadRequest</type><detail>${'d'.repeat(90_000)}</detail><correlationId>${'c'.repeat(9_000)}</correlationId><violations>${violations}</violations></problem>`,
    });
    assert.deepEqual([error.detail?.length, error.correlationId?.length, error.violations.length], [2_000, 100, 100]);
  });
});

describe('the signature of a problem document', () => {
  const signed = dictSide.sign(whole('e'));
  const stranger = { ...participantSide, trust: certificateStore([]) };

  it('is verified where it stands, under either setting', () => {
    for (const errors of ['required', 'if-present'] as const) {
      assert.equal(read({ body: signed, signatures: { ...participantSide, errors } }).kind, 'EntryInvalid');
    }
  });

  it('may be missing only where that is configured', () => {
    assert.equal(read({ body: whole('e'), signatures: { ...participantSide, errors: 'if-present' } }).kind, 'EntryInvalid');
    assert.throws(() => read({ body: whole('e'), signatures: { ...participantSide, errors: 'required' } }), refusedSignature);
  });

  it('that does not hold is refused under either setting', () => {
    for (const errors of ['required', 'if-present'] as const) {
      assert.throws(
        () => read({ body: signed.replace('EntryInvalid', 'NotFound'), signatures: { ...participantSide, errors } }),
        refusedSignature,
      );
      assert.throws(() => read({ body: signed, signatures: { ...stranger, errors } }), refusedSignature);
    }
  });
});

function refusedSignature(error: unknown): boolean {
  return error instanceof DictError && error.kind === 'AnswerSignatureInvalid' && error.remedy === 'person';
}

describe('Retry-After', () => {
  const forms: readonly (readonly [string | undefined, number | null])[] = [
    [undefined, null],
    ['30', 30],
    [' 30 ', 30],
    ['0', 0],
    ['Fri, 06 Nov 2026 08:50:38 GMT', 61],
    ['Friday, 06-Nov-26 08:50:38 GMT', 61],
    ['Fri Nov  6 08:50:38 2026', 61],
    // Past already: at once.
    ['Fri, 06 Nov 2026 08:00:00 GMT', 0],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 0],
    // Absurd wishes are cut to a day.
    ['999999999', 86_400],
    ['9'.repeat(32), 86_400],
    ['Tue, 19 Jan 2038 03:14:07 GMT', 86_400],
    // What is no form of it says nothing.
    ['9'.repeat(33), null],
    ['-5', null],
    ['1.5', null],
    ['1e3', null],
    ['soon', null],
    ['', null],
    ['30, 60', null],
    ['2026-11-06T08:50:38Z', null],
    ['Fri, 99 Nov 2026 08:50:38 GMT', null],
    ['Fri, 06 Nov 2026 08:50:38', null],
  ];
  for (const [text, seconds] of forms) {
    it(`"${(text ?? '(absent)').slice(0, 40)}" is ${seconds === null ? 'nothing' : `${seconds} s`}`, () => {
      const given = { status: 503, body: whole('').replaceAll('400', '503') };
      assert.equal(read(text === undefined ? given : { ...given, retryAfter: text }).retryAfterSec, seconds);
      const gateway = { status: 503, body: '<html/>', type: 'text/html' };
      assert.equal(read(text === undefined ? gateway : { ...gateway, retryAfter: text }).retryAfterSec, seconds);
    });
  }
});
