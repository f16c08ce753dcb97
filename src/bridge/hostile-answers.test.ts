/** Whatever comes instead of an answer is refused by name, and nothing of it is repeated in the message. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { cid, entry, ispb, setUp, vsync, wholeByCid } from '../../test/support/scripted-client.ts';
import { answer, type Script } from '../../test/support/scripted-dict.ts';
import { DictError } from '../dict/errors.ts';

describe('an answer that cannot be trusted is an InvalidAnswer that names its field', () => {
  const xml = (body: string): Script => answer(200, body);
  const without = (name: string): Script => xml(wholeByCid.replace(new RegExp(`<${name}>[^<]*</${name}>`), ''));
  const withValue = (name: string, value: string): Script =>
    xml(wholeByCid.replace(new RegExp(`<${name}>[^<]*</${name}>`), `<${name}>${value}</${name}>`));
  const hostile: readonly [string, Script, RegExp][] = [
    ['no ResponseTime', without('ResponseTime'), /GetEntryByCidResponse\.ResponseTime is missing/],
    ['no Cid', without('Cid'), /GetEntryByCidResponse\.Cid is missing/],
    ['a short Cid', withValue('Cid', cid.slice(1)), /\.Cid is not 64 hex digits/],
    ['another Cid', withValue('Cid', vsync), /\.Cid is not the one that was asked for/],
    ['two Cids', xml(wholeByCid.replace('<Cid>', `<Cid>${vsync}</Cid><Cid>`)), /\.Cid is there more than once/],
    ['a Cid made of elements', withValue('Cid', '<b/>'), /\.Cid holds elements/],
    ['no RequestId', without('RequestId'), /\.RequestId is missing/],
    ['a RequestId that is none', withValue('RequestId', '42'), /\.RequestId is not a UUID/],
    ['no Entry', xml(wholeByCid.replace(entry, '')), /\.Entry is missing/],
    ['two Entries', xml(wholeByCid.replace(entry, entry + entry)), /\.Entry is there more than once/],
    ['no Key', without('Key'), /\.Entry\.Key is missing/],
    ['an empty Key', withValue('Key', ''), /\.Entry\.Key is missing or empty/],
    ['an unknown KeyType', withValue('KeyType', 'PASSPORT'), /\.KeyType is not one of CPF, CNPJ/],
    ['an unknown AccountType', withValue('AccountType', 'CRYP'), /\.AccountType is not one of/],
    ['a participant without leading zeros', withValue('Participant', '38166'), /\.Account\.Participant is not an ISPB/],
    ['no Owner', xml(wholeByCid.replace(/<Owner>[\s\S]*<\/Owner>/, '')), /\.Owner is missing/],
    ['a date that does not exist', withValue('CreationDate', '2019-02-30T00:00:00Z'), /\.CreationDate is not a time/],
    ['a time without zone', withValue('CreationDate', '2019-02-20T00:00:00'), /\.CreationDate is not a time/],
    ['a date alone', withValue('CreationDate', '2019-02-20'), /\.CreationDate is not a time/],
    [
      'another root',
      xml(wholeByCid.replaceAll('GetEntryByCidResponse', 'GetEntryResponse')),
      /root element is not GetEntryByCidResponse/,
    ],
    ['HTML', answer(200, '<html/>', { 'content-type': 'text/html' }), /content type is not XML/],
    ['no content type', (response) => void response.writeHead(200).end(wholeByCid), /content type is not XML/],
    [
      'Latin-1 by name',
      answer(200, wholeByCid, { 'content-type': 'application/xml; charset=ISO-8859-1' }),
      /content type is not XML/,
    ],
    ['Latin-1 in fact', answer(200, Buffer.from(wholeByCid, 'latin1')), /not UTF-8/],
    ['an empty body', xml(''), /XML: /],
    ['XML cut off', xml(wholeByCid.slice(0, -30)), /XML: /],
    ['an entity attack', xml(`<!DOCTYPE a [<!ENTITY b "c">]>${wholeByCid}`), /DOCTYPE/],
    ['too deep a nesting', xml(`${'<a>'.repeat(500)}${'</a>'.repeat(500)}`), /nested deeper/],
    ['more than a MiB', xml(`<a>${'x'.repeat(1024 * 1024)}</a>`), /exceeds 1048576 bytes/],
    [
      'a gzip bomb',
      answer(200, gzipSync(Buffer.alloc(64 * 1024 * 1024)), { 'content-encoding': 'gzip' }),
      /exceeds 1048576 bytes uncompressed/,
    ],
    ['gzip that is none', answer(200, wholeByCid, { 'content-encoding': 'gzip' }), /is not gzip/],
    ['gzip cut off', answer(200, gzipSync(wholeByCid).subarray(0, 40), { 'content-encoding': 'gzip' }), /is not gzip/],
    ['another encoding', answer(200, wholeByCid, { 'content-encoding': 'br' }), /"br" is not gzip/],
    ['no content', (response) => void response.writeHead(204).end(), /HTTP 204/],
    ['a redirect', (response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), /HTTP 302/],
    ['no HTTP', (response) => void response.socket?.end('SSH-2.0-OpenSSH\r\n\r\n'), /not HTTP/],
    [
      'headers without end',
      (response) => void response.socket?.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`),
      /not HTTP/,
    ],
  ];
  for (const [what, script, message] of hostile) {
    it(what, async (t) => {
      const { dict, client } = await setUp(t);
      dict.play(script);
      await assert.rejects(client.getEntryByCid({ participant: ispb, cid }), (error) => {
        assert.ok(error instanceof DictError);
        assert.match(error.message, message);
        assert.equal(error.kind, 'InvalidAnswer');
        assert.equal(error.remedy, 'person');
        assert.match(error.message, /^getEntryByCid: /);
        assert.doesNotMatch(error.message, /Padaria|988880000/);
        return true;
      });
      assert.equal(dict.received.length, 1);
    });
  }
});
