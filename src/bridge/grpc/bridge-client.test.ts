/**
 * The client of a bridge against the client in process: over real sockets, from a DICT that answers with the published examples, both have
 * to say the same. And what the client makes of a bridge that is not there, or is none.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { bridgeClientOf, grpcBridge } from '../../../test/support/grpc-bridge.ts';
import { cid, setUp, stamp } from '../../../test/support/scripted-client.ts';
import { answer, problem } from '../../../test/support/scripted-dict.ts';
import type { DictApi } from '../../dict/api.ts';
import type { EntryListingRequest, EntryPage } from '../../dict/entry-listing.ts';
import { DictError } from '../../dict/errors.ts';
import { participant } from '../../dict/participant.ts';
import { bridgeMethods } from './service-definition.ts';

const psp = participant('12345678');
const vsync = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

function example(name: string): string {
  return readFileSync(new URL(`../../../test/contract/examples/${name}.xml`, import.meta.url), 'utf8');
}

async function bothClients(t: TestContext) {
  const { dict, client: here } = await setUp(t);
  const { client: through, server } = await grpcBridge(t, here);
  return { dict, here, through, server };
}

/** What a call ended in, errors included, for comparison. */
async function outcomeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof DictError)) throw error;
    const { kind, status, remedy, message, detail, correlationId, violations, retryAfterSec } = error;
    return { kind, status, remedy, message, detail, correlationId, violations, retryAfterSec };
  }
}

const emptyEvents = `<ListCidSetEventsResponse>${stamp}<Participant>12345678</Participant><KeyType>CPF</KeyType>
<HasMoreElements>false</HasMoreElements><CidSetEvents/></ListCidSetEventsResponse>`;
const newStatus = example('GetCidSetFileResponse').replace('AVAILABLE', 'EM_FILA').replace('PHONE', 'NOVO');

const calls: readonly (readonly [what: string, body: string, call: (api: DictApi) => Promise<unknown>])[] = [
  [
    'createSyncVerification',
    example('CreateSyncVerificationResponse'),
    (api) => api.createSyncVerification({ participant: psp, keyType: 'CPF', participantSyncVerifier: vsync }),
  ],
  [
    'createCidSetFile',
    example('CreateCidSetFileResponse'),
    (api) => api.createCidSetFile({ participant: psp, keyType: 'PHONE' }, { priority: 'person' }),
  ],
  ['getCidSetFile', example('GetCidSetFileResponse'), (api) => api.getCidSetFile({ participant: psp, id: '1234' })],
  ['getCidSetFile of words that are new', newStatus, (api) => api.getCidSetFile({ participant: psp, id: '1234' })],
  [
    'listCidSetEvents',
    example('ListCidSetEventsResponse'),
    (api) =>
      api.listCidSetEvents({
        participant: psp,
        keyType: 'CPF',
        startTime: new Date('2020-01-10T10:00:00.123Z'),
        endTime: new Date('2020-01-10T11:11:11.999Z'),
        limit: 200,
      }),
  ],
  ['listCidSetEvents without events', emptyEvents, (api) => api.listCidSetEvents({ participant: psp, keyType: 'CPF' })],
  [
    'getEntryByCid',
    example('GetEntryByCidResponse').replace(/<Cid>[^<]*<\/Cid>/, `<Cid>${cid}</Cid>`),
    (api) => api.getEntryByCid({ participant: psp, cid: cid.toUpperCase() }),
  ],
  [
    'getPolicy',
    example('GetPolicyResponse'),
    (api) => api.getPolicy({ participant: psp, name: 'ENTRIES_READ_PARTICIPANT_ANTISCAN' }),
  ],
  ['listPolicies', example('ListPoliciesResponse'), (api) => api.listPolicies({ participant: psp })],
];

describe('a bridge as DictApi', () => {
  for (const [what, body, call] of calls) {
    it(`answers ${what} as the client in process does, and asks DICT the same`, async (t) => {
      const { dict, here, through } = await bothClients(t);
      dict.play(answer(what.startsWith('create') ? 201 : 200, body));
      const expected = await outcomeOf(() => call(here));
      assert.ok(!(typeof expected === 'object' && expected !== null && 'kind' in expected), JSON.stringify(expected));
      assert.deepEqual(await outcomeOf(() => call(through)), expected);
      const [first, second] = dict.received;
      assert.deepEqual([second?.method, second?.path, String(second?.body)], [first?.method, first?.path, String(first?.body)]);
    });
  }

  it('answers that no entry has a CID only where DICT itself says so', async (t) => {
    const { dict, through } = await bothClients(t);
    dict.play(problem(404, 'NotFound', '<correlationId>c-404</correlationId>'));
    const gone = await through.getEntryByCid({ participant: psp, cid });
    assert.deepEqual([gone.found, gone.correlationId], [false, 'c-404']);
    dict.play(answer(404, 'a proxy’s page', { 'content-type': 'text/html' }));
    await assert.rejects(through.getEntryByCid({ participant: psp, cid }), {
      name: 'DictError',
      kind: 'InvalidAnswer',
      status: 404,
    });
  });

  const refusals: readonly (readonly [number, string, string, Readonly<Record<string, string>>])[] = [
    [403, 'Forbidden', '<correlationId>c-1</correlationId>', {}],
    [400, 'BadRequest', '<violations><violation><reason>inválido</reason><value>é &amp; ê</value></violation></violations>', {}],
    [503, 'ServiceUnavailable', '', { 'retry-after': '3600' }],
    [418, 'ANameThatIsNew', '<correlationId>c-2</correlationId>', {}],
  ];

  for (const [http, kind, more, headers] of refusals) {
    it(`ends in the same error as in process: ${http} ${kind}`, async (t) => {
      const { dict, here, through } = await bothClients(t);
      dict.play(problem(http, kind, more, headers));
      for (const call of [calls[0], calls[1], calls[4]]) {
        assert.ok(call !== undefined);
        const expected = await outcomeOf(() => call[2](here));
        assert.ok(typeof expected === 'object' && expected !== null && 'kind' in expected && expected.kind === kind);
        assert.deepEqual(await outcomeOf(() => call[2](through)), expected);
      }
    });
  }

  it('leaves the repeating of DICT’s errors to the bridge, which has done it', async (t) => {
    const { dict, through } = await bothClients(t);
    dict.play(problem(503, 'ServiceUnavailable'));
    await assert.rejects(through.getEntryByCid({ participant: psp, cid }), { kind: 'ServiceUnavailable' });
    assert.equal(dict.received.length, 3, 'the tries of one call, not of five');
  });

  it('refuses what is wrong before DICT is asked, as a TypeError that names the field', async (t) => {
    const { dict, through } = await bothClients(t);
    const limit = through.listCidSetEvents({ participant: psp, keyType: 'CPF', limit: 201 });
    await assert.rejects(limit, { name: 'TypeError', message: /^limit: not a whole number from 1 to 200/ });
    await assert.rejects(through.getCidSetFile({ participant: psp, id: 'x' }), { name: 'TypeError', message: /^id: not the Id/ });
    await assert.rejects(through.getEntryByCid({ participant: psp, cid: 'abc' }), { name: 'TypeError', message: /^cid: not 64/ });
    assert.equal(dict.received.length, 0);
  });
});

describe('ListEntries', () => {
  const page: EntryPage = {
    responseTime: new Date('2020-02-02T02:02:02.002Z'),
    correlationId: 'c-7',
    entries: [
      {
        key: 'joao@example.com',
        keyType: 'EMAIL',
        account: {
          participant: psp,
          branch: null,
          accountNumber: '0007',
          accountType: 'TRAN',
          openingDate: '2010-01-10T03:00:00Z',
        },
        owner: { type: 'NATURAL_PERSON', taxIdNumber: '11122233300', name: 'João & Cia', tradeName: null },
        creationDate: '2019-11-18T03:00:00Z',
        keyOwnershipDate: '2019-11-18T03:00:00Z',
        openClaimCreationDate: '2020-01-01T00:00:00Z',
      },
    ],
    unreadable: ['the third entry: AccountType is none that is known'],
    totalCount: 12_345_678_901,
    hasNextPage: true,
  };

  it('hands a page of whichever directory is configured through, whole', async (t) => {
    const { client: here } = await setUp(t);
    const asked: EntryListingRequest[] = [];
    const listEntries = async (request: EntryListingRequest): Promise<EntryPage> => {
      asked.push(request);
      return page;
    };
    const { client } = await grpcBridge(t, here, { entries: { listEntries } });
    const wanted: EntryListingRequest = {
      participant: psp,
      pageNumber: 3,
      pageSize: 1_000,
      status: 'ACTIVE',
      updatedSince: new Date('2020-01-01T00:00:00.001Z'),
    };
    assert.deepEqual(await client.listEntries(wanted), page);
    assert.deepEqual(asked, [wanted]);
    for (const [pageNumber, pageSize] of [
      [0, 10],
      [1, 0],
      [1, 1_001],
    ] as const) {
      await assert.rejects(client.listEntries({ participant: psp, pageNumber, pageSize, status: 'ACTIVE' }), {
        name: 'TypeError',
        message: /^page_/,
      });
    }
  });

  it('is not offered where no directory is configured', async (t) => {
    const { through } = await bothClients(t);
    await assert.rejects(through.listEntries({ participant: psp, pageNumber: 1, pageSize: 10, status: 'ACTIVE' }), {
      kind: 'InvalidAnswer',
      remedy: 'person',
      message: /does not offer this: ListEntries: this bridge has no directory that lists entries/,
    });
  });
});

describe('a bridge that is not there, or is none', () => {
  const ask = (client: DictApi) => client.createCidSetFile({ participant: psp, keyType: 'CPF' });

  it('is Unreachable, never DICT asked from here', async (t) => {
    const { through, server, dict } = await bothClients(t);
    await server.close(0);
    await assert.rejects(ask(through), {
      name: 'DictError',
      kind: 'Unreachable',
      remedy: 'retry',
      message: /the bridge at localhost:\d+/,
    });
    assert.equal(dict.received.length, 0);
  });

  const strangers: readonly (readonly [keyof typeof status, string, string])[] = [
    ['UNIMPLEMENTED', 'InvalidAnswer', 'person'],
    ['PERMISSION_DENIED', 'Forbidden', 'person'],
    ['UNAUTHENTICATED', 'Forbidden', 'person'],
    ['UNKNOWN', 'InternalServerError', 'retry'],
    ['DEADLINE_EXCEEDED', 'Timeout', 'retry'],
    ['UNAVAILABLE', 'ConnectionLost', 'retry'],
    ['RESOURCE_EXHAUSTED', 'InvalidAnswer', 'person'],
  ];

  it('is an error of the way for every status without DICT’s details', async (t) => {
    let code: status = status.UNKNOWN;
    const server = new Server();
    server.addService(
      { requestCidSetFile: bridgeMethods.requestCidSetFile },
      {
        requestCidSetFile: (_call: unknown, callback: (failure: object) => void) => callback({ code, details: 'as told' }),
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const client = bridgeClientOf({ port });
    t.after(() => client.close());
    t.after(() => server.forceShutdown());
    for (const [name, kind, remedy] of strangers) {
      code = status[name];
      await assert.rejects(ask(client), { name: 'DictError', kind, remedy, status: 0 }, name);
    }
  });
});
