/** A client of a scripted DICT, and answers for tests to spoil. */

import type { TestContext } from 'node:test';
import { createDictClient, type DictReadClientOptions } from '../../src/bridge/dict-client.ts';
import type { DictApi } from '../../src/dict/api.ts';
import { participant } from '../../src/dict/participant.ts';
import { scaledClock } from '../../src/platform/clock.ts';
import { type ScriptedDict, scriptedDict } from './scripted-dict.ts';

export const ispb = participant('00038166');
export const cid = 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb';
export const vsync = 'ed02457b5c41d964dbd2f2a609d63fe1bb7528dbe55e1abf5b52c249cd735797';
export const stamp =
  '<ResponseTime>2020-01-10T10:00:00.000Z</ResponseTime><CorrelationId>a9f13566e19f5ca51329479a5bae60c5</CorrelationId>';

/** A scripted DICT and a client of it whose waits are a thousand times as short. */
export async function setUp(
  t: TestContext,
  more: Partial<DictReadClientOptions> = {},
): Promise<{ dict: ScriptedDict; client: DictApi & { close(): Promise<void> } }> {
  const dict = await scriptedDict(t);
  const client = createDictClient({
    apiUrl: dict.apiUrl,
    filesHosts: [dict.host],
    clock: scaledClock(1000),
    random: () => 0.5,
    budget: { policies: 'configured' },
    limits: { callMs: 2_000 },
    ...more,
  });
  t.after(() => client.close());
  return { dict, client };
}

export const entry = `<Entry><Key>+5561988880000</Key><KeyType>PHONE</KeyType><Account><Participant>00038166</Participant><Branch>0001</Branch>
<AccountNumber>0007654321</AccountNumber><AccountType>CACC</AccountType><OpeningDate>2010-01-10T00:00:00-03:00</OpeningDate></Account>
<Owner><Type>LEGAL_PERSON</Type><TaxIdNumber>11222333000150</TaxIdNumber><Name> Padaria &amp; Irmãos  Ltda</Name><TradeName/></Owner>
<CreationDate>2019-11-18T03:00:00Z</CreationDate><KeyOwnershipDate>2019-11-18T03:00:00.123456Z</KeyOwnershipDate></Entry>`;
const byCid = (content: string): string => `<GetEntryByCidResponse>${content}</GetEntryByCidResponse>`;
/** An answer of getEntryByCid with nothing wrong. */
export const wholeByCid = byCid(`${stamp}<Cid>${cid}</Cid>${entry}<RequestId>A946D533-7F22-42A5-9A9B-E87CD55C0F4D</RequestId>`);
