/** ListEntries over SOAP: against the real simulator, signed on both sides, and against directories whose answers cannot be used. */

import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { NO_SIGNATURES, type Signatures } from '../src/bridge/answer-signature.ts';
import { createTransport, DEFAULT_TRANSPORT_LIMITS } from '../src/bridge/dict-transport.ts';
import { createEntryListingClient } from '../src/bridge/entry-listing-client.ts';
import { contentOf } from '../src/bridge/soap-envelope.ts';
import type { EntryListing, EntryListingRequest, EntryPage } from '../src/dict/entry-listing.ts';
import { DictError } from '../src/dict/errors.ts';
import { KEY_TYPES } from '../src/dict/key-type.ts';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { systemClock } from '../src/platform/clock.ts';
import { element, parseXml, writeXml, type XmlSource } from '../src/platform/xml.ts';
import { xmlSigner } from '../src/platform/xml-signature.ts';
import { verifiedXml } from '../src/platform/xml-signature-verification.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { dictKey, dictSide, participantSide } from './support/signed-sides.ts';

const psp = participant('00038166');
const other = participant('12345678');
const firstPage: EntryListingRequest = { participant: psp, pageNumber: 1, pageSize: 10, status: 'ACTIVE' };

function clientOf(t: TestContext, url: string, signatures: Signatures): EntryListing {
  const transport = createTransport({ ...DEFAULT_TRANSPORT_LIMITS, answerBytesMax: 65_536 });
  const client = createEntryListingClient({ url, transport, clock: systemClock, signatures });
  t.after(() => client.close());
  return client;
}

/** A simulator with four entries of each key type of ours and some of another participant. */
async function directory(t: TestContext) {
  const simulator = await startSimulator({ policies: null, signatures: dictSide });
  t.after(() => simulator.close());
  for (const keyType of KEY_TYPES) {
    simulator.state.seedEntries(sampleEntries({ seed: 3, participant: psp, keyType, count: 4 }));
    simulator.state.seedEntries(sampleEntries({ seed: 3, participant: other, keyType, count: 2 }));
  }
  return simulator;
}

interface Sent {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A directory that answers the same whatever it is asked. */
async function answering(t: TestContext, answer: { readonly status?: number; readonly type?: string; readonly body: string }) {
  const sent: Sent[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    sent.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
    response.writeHead(answer.status ?? 200, { 'content-type': answer.type ?? 'text/xml; charset=utf-8' });
    response.end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { url: `http://127.0.0.1:${address.port}/keys`, sent };
}

const ENVELOPE = 'http://schemas.xmlsoap.org/soap/envelope/';
const inEnvelope = (content: string, namespace = ENVELOPE): string =>
  `<soap:Envelope xmlns:soap="${namespace}"><soap:Body>${content}</soap:Body></soap:Envelope>`;
const undeclared = (source: XmlSource): string => writeXml(source).replace(/^<\?xml[^?]*\?>\n/, '');
const signedBy = (key: typeof dictKey, text: string): string => xmlSigner(key.privateKey, key.certificate)(text);

function entryXml(keyType: string): XmlSource {
  return element('Entry', [
    element('Key', 'alguem@example.com'),
    element('KeyType', keyType),
    element('Account', [
      element('Participant', psp),
      element('AccountNumber', '0001'),
      element('AccountType', 'CACC'),
      element('OpeningDate', '2020-01-10T10:00:00Z'),
    ]),
    element('Owner', [element('Type', 'NATURAL_PERSON'), element('TaxIdNumber', '11122233300'), element('Name', 'João & Cia')]),
    element('CreationDate', '2020-01-10T10:00:00Z'),
    element('KeyOwnershipDate', '2020-01-10T10:00:00Z'),
  ]);
}

function page(children: readonly (XmlSource | null)[], name = 'GetKeysResponse'): string {
  const stamps = [element('ResponseTime', '2026-01-10T10:00:00Z'), element('CorrelationId', 'c1')];
  return undeclared(element(name, [...stamps, ...children]));
}

const counts = [element('TotalCount', '1'), element('HasNextPage', 'false')];

async function failure(client: EntryListing): Promise<DictError> {
  try {
    await client.listEntries(firstPage);
  } catch (cause) {
    assert.ok(cause instanceof DictError, String(cause));
    return cause;
  }
  throw new assert.AssertionError({ message: 'the page was taken for good' });
}

describe('a listing over SOAP', () => {
  it('reads a participant’s entries page by page, without their RequestIds, and nobody else’s', async (t) => {
    const simulator = await directory(t);
    const client = clientOf(t, simulator.listingUrl, participantSide);
    const pages: EntryPage[] = [];
    for (let pageNumber = 1; pageNumber <= 3; pageNumber++) {
      pages.push(await client.listEntries({ ...firstPage, pageNumber, pageSize: 8 }));
    }
    assert.deepEqual(
      pages.map(({ entries, totalCount, hasNextPage }) => [entries.length, totalCount, hasNextPage]),
      [
        [8, 20, true],
        [8, 20, true],
        [4, 20, false],
      ],
    );
    const there = [...simulator.state.activeEntries({ participant: psp })].map(({ entry }) => entry);
    const listed = pages.flatMap(({ entries }) => entries);
    assert.deepEqual(listed.toSorted(byKey), there.toSorted(byKey));
    assert.ok(listed.every((entry) => !('requestId' in entry)));
  });

  it('lists only what was created or changed since a time', async (t) => {
    const simulator = await directory(t);
    const client = clientOf(t, simulator.listingUrl, participantSide);
    const [entry] = [...simulator.state.activeEntries({ participant: psp, keyType: 'EMAIL' })];
    const [fresh] = [...sampleEntries({ seed: 4, participant: psp, keyType: 'EVP', count: 1 })];
    assert.ok(entry && fresh);
    const updatedSince = new Date();
    simulator.state.alter(entry.entry.key, { accountNumber: '77' });
    simulator.state.insert(fresh);
    const { entries, totalCount } = await client.listEntries({ ...firstPage, updatedSince });
    assert.equal(totalCount, 2);
    assert.deepEqual(entries.map(({ key }) => key).toSorted(), [entry.entry.key, fresh.entry.key].toSorted());
  });

  it('asks as SOAP 1.1 does, with the payload signed as a document of its own', async (t) => {
    const { url, sent } = await answering(t, { body: inEnvelope(signedBy(dictKey, page(counts))) });
    await clientOf(t, url, participantSide).listEntries({ ...firstPage, updatedSince: new Date('2026-01-10T10:00:00Z') });
    const [request] = sent;
    assert.ok(request);
    assert.equal(request.headers['soapaction'], '"GetKeys"');
    assert.equal(request.headers['content-type'], 'text/xml; charset=utf-8');
    assert.equal(request.headers['content-encoding'], undefined);
    const content = contentOf(parseXml(request.body));
    assert.ok(content.kind === 'payload');
    assert.equal(content.payload.children[0]?.name, 'Signature');
    const { root } = verifiedXml(content.payload, dictSide.trust, new Date());
    assert.deepEqual(
      root.children.map(({ name, text }) => [name, text]),
      [
        ['ISPB', psp],
        ['Status', 'ACTIVE'],
        ['Page', '1'],
        ['PageSize', '10'],
        ['UpdatedSince', '2026-01-10T10:00:00.000Z'],
      ],
    );
  });

  it('refuses page numbers and sizes out of range before anything is sent', async (t) => {
    const client = clientOf(t, 'http://127.0.0.1:9/', NO_SIGNATURES);
    await assert.rejects(client.listEntries({ ...firstPage, pageNumber: 0 }), /pageNumber: 0 is not/);
    await assert.rejects(client.listEntries({ ...firstPage, pageSize: 1_001 }), /pageSize: 1001 is not/);
    assert.throws(() => clientOf(t, 'ftp://example.com/', NO_SIGNATURES), /not an http or https URL/);
  });

  it('skips an entry that it cannot read, says why without its values, and reads the others', async (t) => {
    const keys = element('Keys', [entryXml('PIXKEY_OF_TOMORROW'), entryXml('EMAIL')]);
    const { url } = await answering(t, { body: inEnvelope(page([keys, ...counts])) });
    const read = await clientOf(t, url, NO_SIGNATURES).listEntries(firstPage);
    assert.deepEqual(
      read.entries.map(({ owner }) => owner.name),
      ['João & Cia'],
    );
    assert.equal(read.unreadable.length, 1);
    assert.match(read.unreadable[0] ?? '', /KeyType is not one of CPF/);
    assert.doesNotMatch(read.unreadable[0] ?? '', /alguem|TOMORROW/);
  });
});

function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : 1;
}

describe('a Fault', () => {
  it('becomes the error of the problem document in its detail, when that is signed', async (t) => {
    const simulator = await directory(t);
    const client = clientOf(t, simulator.listingUrl, participantSide);
    simulator.state.addFault({ operation: 'getKeys', times: 1, error: 'ServiceUnavailable' });
    const unavailable = await failure(client);
    assert.deepEqual([unavailable.kind, unavailable.status, unavailable.remedy], ['ServiceUnavailable', 503, 'retry']);
    assert.equal(unavailable.retryAfterSec, 30);
    assert.notEqual(unavailable.correlationId, null);
    simulator.state.addFault({ operation: 'getKeys', times: 1, error: 'Forbidden' });
    const forbidden = await failure(client);
    assert.deepEqual([forbidden.kind, forbidden.status, forbidden.remedy], ['Forbidden', 403, 'person']);
  });

  it('is told from a participant whose signature the directory does not accept', async (t) => {
    const simulator = await directory(t);
    const unsigned = await failure(clientOf(t, simulator.listingUrl, { ...participantSide, sign: null }));
    assert.deepEqual([unsigned.kind, unsigned.remedy], ['RequestSignatureInvalid', 'person']);
    const stranger = { ...participantSide, sign: xmlSigner(dictKey.privateKey, dictKey.certificate) };
    assert.equal((await failure(clientOf(t, simulator.listingUrl, stranger))).kind, 'RequestSignatureInvalid');
  });

  const problem = '<problem xmlns="urn:ietf:rfc:7807"><type>https://x/error/NotFound</type><status>404</status></problem>';
  const fault = (detail: string, code = 'soap:Server'): string =>
    inEnvelope(`<soap:Fault><faultcode>${code}</faultcode><faultstring>não</faultstring>${detail}</soap:Fault>`);
  const cases = [
    ['whose problem document is not signed', fault(`<detail>${problem}</detail>`), 'AnswerSignatureInvalid', 'person'],
    ['of the server, without detail', fault(''), 'InternalServerError', 'retry'],
    ['of the client, without detail', fault('', 'soap:Client'), 'BadRequest', 'final'],
    ['of another version of SOAP', fault('', 'soap:VersionMismatch'), 'InvalidAnswer', 'person'],
  ] as const;
  for (const [what, body, kind, remedy] of cases) {
    it(`${what} is ${kind}`, async (t) => {
      const { url } = await answering(t, { status: 500, body });
      const found = await failure(clientOf(t, url, participantSide));
      assert.deepEqual([found.kind, found.remedy], [kind, remedy]);
    });
  }
});

describe('an answer that cannot be used', () => {
  const good = page(counts);
  const signed = signedBy(dictKey, good);
  const signature = /<ds:Signature[\s\S]*<\/ds:Signature>/.exec(signed)?.[0] ?? '';
  const many = element(
    'Keys',
    Array.from({ length: 11 }, () => entryXml('EMAIL')),
  );
  const cases: readonly (readonly [
    string,
    { readonly status?: number; readonly type?: string; readonly body: string },
    string,
  ])[] = [
    ['is not signed', { body: inEnvelope(good) }, 'AnswerSignatureInvalid'],
    ['was changed', { body: inEnvelope(signed.replace('>1<', '>2<')) }, 'AnswerSignatureInvalid'],
    [
      'has its signature on the envelope',
      { body: inEnvelope(good).replace('<soap:Body>', `${signature}<soap:Body>`) },
      'AnswerSignatureInvalid',
    ],
    [
      'hides what was signed inside something else',
      { body: inEnvelope(page([...counts, null]).replace('</GetKeysResponse>', `${signed}</GetKeysResponse>`)) },
      'AnswerSignatureInvalid',
    ],
    ['brings a second payload beside the signed one', { body: inEnvelope(`${good}${signed}`) }, 'InvalidAnswer'],
    [
      'has two bodies',
      { body: inEnvelope(signed).replace('</soap:Envelope>', `<soap:Body>${good}</soap:Body></soap:Envelope>`) },
      'InvalidAnswer',
    ],
    ['is of another version of SOAP', { body: inEnvelope(signed, 'http://www.w3.org/2003/05/soap-envelope') }, 'InvalidAnswer'],
    ['comes without envelope', { body: signed }, 'InvalidAnswer'],
    ['is another answer', { body: inEnvelope(signedBy(dictKey, page(counts, 'GetClaimsResponse'))) }, 'InvalidAnswer'],
    [
      'does not say how many there are',
      { body: inEnvelope(signedBy(dictKey, page([element('HasNextPage', 'false')]))) },
      'InvalidAnswer',
    ],
    [
      'does not say whether more follows',
      { body: inEnvelope(signedBy(dictKey, page([element('TotalCount', '1')]))) },
      'InvalidAnswer',
    ],
    [
      'counts below nothing',
      { body: inEnvelope(signedBy(dictKey, page([element('TotalCount', '-1'), element('HasNextPage', 'false')]))) },
      'InvalidAnswer',
    ],
    ['holds more than was asked for', { body: inEnvelope(signedBy(dictKey, page([many, ...counts]))) }, 'InvalidAnswer'],
    ['declares entities', { body: `<!DOCTYPE a [<!ENTITY b "c">]>${inEnvelope(signed)}` }, 'InvalidAnswer'],
    ['is not XML', { body: '{"keys":[]}', type: 'application/json' }, 'InvalidAnswer'],
    ['is too large', { body: inEnvelope(`${' '.repeat(70_000)}${signed}`) }, 'InvalidAnswer'],
    ['is a success and says that it is none', { status: 404, body: inEnvelope(signed) }, 'InvalidAnswer'],
    ['is a gateway’s page', { status: 502, type: 'text/html', body: '<html>Bad Gateway</html>' }, 'ServiceUnavailable'],
    ['is a gateway’s 404', { status: 404, type: 'text/html', body: '<html>Not found</html>' }, 'InvalidAnswer'],
  ];
  for (const [what, answer, kind] of cases) {
    it(`because it ${what}: ${kind}`, async (t) => {
      const { url } = await answering(t, answer);
      assert.equal((await failure(clientOf(t, url, participantSide))).kind, kind);
    });
  }

  it('is told from one that is good', async (t) => {
    const { url } = await answering(t, { body: inEnvelope(signed) });
    assert.equal((await clientOf(t, url, participantSide).listEntries(firstPage)).totalCount, 1);
  });
});
