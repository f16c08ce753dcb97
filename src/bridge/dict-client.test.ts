/** What the client sends, how it reads what DICT answers, and that nothing hostile or broken is taken for an answer. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { cid, ispb, setUp, stamp, vsync, wholeByCid } from '../../test/support/scripted-client.ts';
import { answer, problem, type Script } from '../../test/support/scripted-dict.ts';
import { DictError } from '../dict/errors.ts';

const events = (content: string): string =>
  `<ListCidSetEventsResponse>${stamp}<Participant>00038166</Participant><KeyType>CPF</KeyType>${content}</ListCidSetEventsResponse>`;
const event = (type: string, time: string): string =>
  `<CidSetEvent><Type>${type}</Type><Cid>${cid.toUpperCase()}</Cid><Timestamp>${time}</Timestamp></CidSetEvent>`;
const verifiers = `<SyncVerifierStart>${vsync}</SyncVerifierStart><SyncVerifierEnd>${vsync.toUpperCase()}</SyncVerifierEnd>`;
const file = (content: string): string =>
  `<GetCidSetFileResponse>${stamp}<CidSetFile><Id>9007199254740993</Id>${content}<Participant>00038166</Participant>
<KeyType>PHONE</KeyType><RequestTime>2020-01-10T10:00:00.000Z</RequestTime></CidSetFile></GetCidSetFileResponse>`;

describe('createSyncVerification', () => {
  it('sends XML that says what it is, uncompressed, and reads the result in any order', async (t) => {
    const { dict, client } = await setUp(t);
    dict.play(
      answer(
        201,
        `<CreateSyncVerificationResponse><Unknown><x/></Unknown><SyncVerification><Result> NOK </Result><Id>0123</Id><KeyType>CPF</KeyType>
<ParticipantSyncVerifier>${vsync.toUpperCase()}</ParticipantSyncVerifier><Participant>00038166</Participant></SyncVerification>${stamp}</CreateSyncVerificationResponse>`,
      ),
    );
    const result = await client.createSyncVerification({
      participant: ispb,
      keyType: 'CPF',
      participantSyncVerifier: vsync.toUpperCase(),
    });
    assert.deepEqual(result, {
      id: '123',
      result: 'NOK',
      responseTime: new Date('2020-01-10T10:00:00.000Z'),
      correlationId: 'a9f13566e19f5ca51329479a5bae60c5',
    });
    const [request] = dict.received;
    assert.equal(request?.method, 'POST');
    assert.equal(request?.path, '/api/v2/sync-verifications/');
    assert.equal(request?.headers['content-type'], 'application/xml; charset=UTF-8');
    assert.equal(request?.headers['content-encoding'], undefined);
    assert.equal(request?.headers['accept-encoding'], 'gzip');
    assert.match(String(request?.body), new RegExp(`<ParticipantSyncVerifier>${vsync}<`));
  });

  it('refuses an answer about another participant, key type or VSync', async (t) => {
    const { dict, client } = await setUp(t);
    for (const [who, type, what] of [
      ['00038167', 'CPF', vsync],
      ['00038166', 'CNPJ', vsync],
      ['00038166', 'CPF', cid],
    ]) {
      dict.play(
        answer(
          201,
          `<CreateSyncVerificationResponse><SyncVerification><Participant>${who}</Participant><KeyType>${type}</KeyType>
<ParticipantSyncVerifier>${what}</ParticipantSyncVerifier><Id>1</Id><Result>OK</Result></SyncVerification></CreateSyncVerificationResponse>`,
        ),
      );
      await assert.rejects(
        client.createSyncVerification({ participant: ispb, keyType: 'CPF', participantSyncVerifier: vsync }),
        /InvalidAnswer|not the one that was asked for/,
      );
    }
  });

  it('refuses to send what is no VSync', async (t) => {
    const { client, dict } = await setUp(t);
    await assert.rejects(
      async () => client.createSyncVerification({ participant: ispb, keyType: 'CPF', participantSyncVerifier: 'abc' }),
      /participantSyncVerifier: "abc" is not 64 hex digits/,
    );
    assert.equal(dict.received.length, 0);
  });
});

describe('getEntryByCid', () => {
  it('keeps every hashed text as it came and brings the rest into one form', async (t) => {
    const { dict, client } = await setUp(t);
    dict.play(answer(200, wholeByCid.replace(cid, cid.toUpperCase())));
    const found = await client.getEntryByCid({ participant: ispb, cid: cid.toUpperCase() });
    assert.deepEqual(found, {
      found: true,
      cid,
      requestId: 'a946d533-7f22-42a5-9a9b-e87cd55c0f4d',
      responseTime: new Date('2020-01-10T10:00:00.000Z'),
      correlationId: 'a9f13566e19f5ca51329479a5bae60c5',
      entry: {
        key: '+5561988880000',
        keyType: 'PHONE',
        account: {
          participant: '00038166',
          branch: '0001',
          accountNumber: '0007654321',
          accountType: 'CACC',
          openingDate: '2010-01-10T03:00:00.000Z',
        },
        owner: { type: 'LEGAL_PERSON', taxIdNumber: '11222333000150', name: ' Padaria & Irmãos  Ltda', tradeName: null },
        creationDate: '2019-11-18T03:00:00.000Z',
        keyOwnershipDate: '2019-11-18T03:00:00.123Z',
        openClaimCreationDate: null,
      },
    });
    assert.equal(dict.received[0]?.path, `/api/v2/cids/entries/${cid}`);
    assert.equal(dict.received[0]?.headers['pi-requestingparticipant'], '00038166');
    assert.equal(dict.received[0]?.headers['content-type'], undefined);
  });

  it("takes DICT's own NotFound document, whatever its prefix, for an absence (R2)", async (t) => {
    const { dict, client } = await setUp(t);
    const prefixed = answer(
      404,
      '<p:problem xmlns:p="urn:ietf:rfc:7807"><p:title/><p:type>https://x/error/NotFound</p:type><p:correlationId>c1</p:correlationId></p:problem>',
      { 'content-type': 'application/problem+xml;charset=utf-8' },
    );
    for (const script of [problem(404, 'NotFound'), prefixed]) {
      dict.play(script);
      const gone = await client.getEntryByCid({ participant: ispb, cid });
      assert.equal(gone.found, false);
    }
  });

  const noAbsence: readonly [string, Script, string][] = [
    ["a proxy's page", answer(404, '<html><body>Not Found</body></html>', { 'content-type': 'text/html' }), 'InvalidAnswer'],
    ['XHTML from a proxy', answer(404, '<html xmlns="http://www.w3.org/1999/xhtml"/>'), 'InvalidAnswer'],
    ['nothing at all', answer(404, ''), 'InvalidAnswer'],
    ['JSON', answer(404, '{"type":"NotFound"}', { 'content-type': 'application/problem+json' }), 'InvalidAnswer'],
    ['a problem without its namespace', answer(404, '<problem><type>x/NotFound</type></problem>'), 'InvalidAnswer'],
    ['a problem cut off', answer(404, '<problem xmlns="urn:ietf:rfc:7807"><type>x/NotFound</type>'), 'InvalidAnswer'],
    [
      'a problem whose status says otherwise',
      answer(404, '<problem xmlns="urn:ietf:rfc:7807"><type>x/NotFound</type><status>403</status></problem>'),
      'InvalidAnswer',
    ],
    [
      'a problem without a type',
      answer(404, '<problem xmlns="urn:ietf:rfc:7807"><title>Not found</title></problem>'),
      'InvalidAnswer',
    ],
    ['NotFound with another status', problem(400, 'NotFound'), 'NotFound'],
    ['a blocked entry', problem(400, 'EntryBlocked'), 'EntryBlocked'],
    ['Forbidden', problem(403, 'Forbidden'), 'Forbidden'],
    ['Gone', problem(410, 'Gone'), 'Gone'],
  ];
  for (const [what, script, kind] of noAbsence) {
    it(`does not take ${what} for an absence (R2)`, async (t) => {
      const { dict, client } = await setUp(t);
      dict.play(script);
      await assert.rejects(
        client.getEntryByCid({ participant: ispb, cid }),
        (error) => error instanceof DictError && error.kind === kind,
      );
    });
  }
});

describe('listCidSetEvents', () => {
  const request = { participant: ispb, keyType: 'CPF' } as const;

  it('asks with its parameters and reads a page', async (t) => {
    const { dict, client } = await setUp(t);
    const list = `<CidSetEvents>${event('ADDED', '2020-01-10T10:00:00.000Z')}${event('REMOVED', '2020-01-10T10:00:00.000Z')}</CidSetEvents>`;
    dict.play(
      answer(200, gzipSync(events(`${list}<HasMoreElements>true</HasMoreElements>${verifiers}`)), { 'content-encoding': 'gzip' }),
    );
    const page = await client.listCidSetEvents({
      ...request,
      startTime: new Date('2020-01-10T09:00:00.001Z'),
      endTime: new Date('2020-01-10T11:00:00.000Z'),
      limit: 200,
    });
    assert.equal(
      dict.received[0]?.path,
      '/api/v2/cids/events?Participant=00038166&KeyType=CPF&StartTime=2020-01-10T09%3A00%3A00.001Z&EndTime=2020-01-10T11%3A00%3A00.000Z&Limit=200',
    );
    assert.equal(page.hasMoreElements, true);
    assert.deepEqual([page.syncVerifierStart, page.syncVerifierEnd], [vsync, vsync]);
    const timestamp = new Date('2020-01-10T10:00:00.000Z');
    assert.deepEqual(page.events, [
      { type: 'ADDED', cid, timestamp },
      { type: 'REMOVED', cid, timestamp },
    ]);
  });

  it('reads an empty page in either form: with the present VSync, or without', async (t) => {
    const { dict, client } = await setUp(t);
    dict.play(
      answer(200, events(`<HasMoreElements>false</HasMoreElements>${verifiers}<CidSetEvents/>`)),
      answer(200, events('<HasMoreElements>0</HasMoreElements>')),
    );
    assert.equal((await client.listCidSetEvents(request)).syncVerifierEnd, vsync);
    const bare = await client.listCidSetEvents(request);
    assert.deepEqual([bare.events, bare.hasMoreElements, bare.syncVerifierStart, bare.syncVerifierEnd], [[], false, null, null]);
  });

  const broken: readonly [string, string, RegExp][] = [
    [
      'an unknown type',
      `<CidSetEvents>${event('MOVED', '2020-01-10T10:00:00Z')}</CidSetEvents>`,
      /CidSetEvent\[0\]\.Type is not one of/,
    ],
    [
      'times that go back',
      `<CidSetEvents>${event('ADDED', '2020-01-10T10:00:00.001Z')}${event('ADDED', '2020-01-10T10:00:00Z')}</CidSetEvents>`,
      /CidSetEvent\[1\]\.Timestamp is earlier/,
    ],
  ];
  for (const [what, list, message] of broken) {
    it(`refuses a page with ${what}`, async (t) => {
      const { dict, client } = await setUp(t);
      dict.play(answer(200, events(`<HasMoreElements>true</HasMoreElements>${verifiers}${list}`)));
      await assert.rejects(client.listCidSetEvents(request), message);
    });
  }

  it('refuses events without the VSyncs around them, another participant, and a page without HasMoreElements', async (t) => {
    const { dict, client } = await setUp(t);
    const list = `<CidSetEvents>${event('ADDED', '2020-01-10T10:00:00Z')}</CidSetEvents>`;
    dict.play(
      answer(200, events(`<HasMoreElements>true</HasMoreElements>${list}`)),
      answer(200, events('<HasMoreElements>false</HasMoreElements>').replace('00038166', '00038167')),
      answer(200, events('')),
    );
    await assert.rejects(client.listCidSetEvents(request), /SyncVerifierStart is missing/);
    await assert.rejects(client.listCidSetEvents(request), /Participant is not the one that was asked for/);
    await assert.rejects(client.listCidSetEvents(request), /HasMoreElements is missing/);
  });

  it('refuses a limit that DICT does not have', async (t) => {
    const { client } = await setUp(t);
    for (const limit of [0, 201, 1.5])
      await assert.rejects(async () => client.listCidSetEvents({ ...request, limit }), /limit: /);
  });
});

describe('getCidSetFile', () => {
  const request = { participant: ispb, id: '9007199254740993' };
  const available = `<CreationTime>2020-01-10T10:00:10Z</CreationTime><Url>https://x.example/a?b=1&amp;c=2</Url><Bytes>130</Bytes><Sha256>${vsync.toUpperCase()}</Sha256>`;

  it('keeps Ids that no number holds, and states that it does not know', async (t) => {
    const { dict, client } = await setUp(t);
    dict.play(answer(200, file('<Status>QUEUED</Status>')));
    const { id, status, url, bytes, sha256, creationTime } = await client.getCidSetFile(request);
    assert.deepEqual([id, status, url, bytes, sha256, creationTime], ['9007199254740993', 'QUEUED', null, null, null, null]);
    assert.equal(dict.received[0]?.path, '/api/v2/cids/files/9007199254740993');
  });

  it('reads an available file and refuses one that lacks a part', async (t) => {
    const { dict, client } = await setUp(t);
    dict.play(answer(200, file(`<Status>AVAILABLE</Status>${available}`)));
    const whole = await client.getCidSetFile(request);
    assert.deepEqual([whole.url, whole.bytes, whole.sha256], ['https://x.example/a?b=1&c=2', 130, vsync]);
    for (const name of ['CreationTime', 'Url', 'Bytes', 'Sha256']) {
      dict.play(answer(200, file(`<Status>AVAILABLE</Status>${available.replace(new RegExp(`<${name}>.*</${name}>`), '')}`)));
      await assert.rejects(client.getCidSetFile(request), new RegExp(`CidSetFile\\.${name} is missing although`));
    }
    for (const [name, value] of [
      ['Bytes', '-1'],
      ['Bytes', '1e3'],
      ['Sha256', 'zz'],
      ['CreationTime', 'yesterday'],
    ]) {
      const bad = available.replace(new RegExp(`<${name}>.*</${name}>`), `<${name}>${value}</${name}>`);
      dict.play(answer(200, file(`<Status>AVAILABLE</Status>${bad}`)));
      await assert.rejects(client.getCidSetFile(request), new RegExp(`CidSetFile\\.${name} is not`));
    }
  });

  it("refuses another file's state, and an Id that is none", async (t) => {
    const { dict, client } = await setUp(t);
    dict.play(answer(200, file('<Status>REQUESTED</Status>')));
    await assert.rejects(client.getCidSetFile({ ...request, id: '1' }), /CidSetFile\.Id is not the one/);
    await assert.rejects(async () => client.getCidSetFile({ ...request, id: '../entries' }), /id: "..\/entries" is not/);
  });
});

describe('policies', () => {
  it('reads states of buckets whatever the order of the elements', async (t) => {
    const { dict, client } = await setUp(t);
    const policy =
      '<Policy><Name>CIDS_FILES_WRITE</Name><RefillPeriodSec>86400</RefillPeriodSec><RefillTokens>40</RefillTokens><Capacity>200</Capacity><AvailableTokens>0</AvailableTokens></Policy>';
    const read = { name: 'CIDS_FILES_WRITE', availableTokens: 0, capacity: 200, refillTokens: 40, refillPeriodSec: 86_400 };
    dict.play(
      answer(
        200,
        `<ListPoliciesResponse>${stamp}<Category>A</Category><Policies>${policy}${policy}</Policies></ListPoliciesResponse>`,
      ),
      answer(200, `<GetPolicyResponse><Category>Z</Category>${policy}</GetPolicyResponse>`),
    );
    assert.deepEqual(await client.listPolicies({ participant: ispb }), [read, read]);
    assert.deepEqual(await client.getPolicy({ participant: ispb, name: 'CIDS/FILES' }), read);
    assert.deepEqual(
      dict.received.map(({ path }) => path),
      ['/api/v2/policies/', '/api/v2/policies/CIDS%2FFILES'],
    );
  });
});
