/**
 * `node bench/ingest-floor.ts [KEYS [DIRECTORY]]`: what the least that an event can leave costs PostgreSQL alone, on one base: a row of the inbox, of
 * dict_entries and of dict_cids with their indexes, by COPY, 4,000 of each in a transaction, on one connection and on two. Nothing is
 * read, decided, replaced or marked, and the bytes were made before. No ingest into these tables can be faster;
 * docs/adr/0021-ingest-in-batches.md quotes it.
 */

import { hash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import * as path from 'node:path';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Database } from '../src/platform/postgres/database.ts';
import { benchDatabase } from './fixtures/database.ts';
import { generateEntries } from './fixtures/generated-entries.ts';
import { generatedKey } from './fixtures/generated-keys.ts';

const keys = Number(process.argv[2] ?? 1_000_000);
const events = 60_000;
const batchEvents = 4_000;
const rounds = 3;
/** Numbers of keys beyond any base; each run has its own. */
const freshFrom = 80_000_000;
const freshPerRun = 1_000_000;

const copies = [
  'COPY event_inbox (event_id, outcome, occurred_at, received_at) FROM STDIN',
  `COPY dict_entries (participant, key, key_type, status, cid, branch, account_number, account_type, account_opened_at, owner_type,
    owner_tax_id, owner_name, request_id, request_id_since, occurred_at, event_action, seq, updated_at) FROM STDIN`,
  'COPY dict_cids (participant, key_type, cid, key, added_seq, added_at, source, algorithm) FROM STDIN',
] as const;

const at = '2026-02-01T00:00:00Z';

function uuid(text: string): string {
  const hex = hash('md5', text);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/** The lines of each table for key number `index`. */
function linesOf(index: number): string[] {
  const { participant, keyType, key } = generatedKey(index);
  const cid = `\\\\x${hash('sha256', `fresh ${index}`)}`;
  const account = String((index * 7_919) % 9_999_991).padStart(10, '0');
  const entry = [participant, key, keyType, 'ACTIVE', cid, '0001', account, 'CACC', at, 'NATURAL_PERSON', '11122233300'];
  return [
    [uuid(`event ${index}`), 'applied', at, at].join('\t'),
    [...entry, 'João Sebastião Gonçalves', uuid(`request ${index}`), at, at, 'key.created', '2', at].join('\t'),
    [participant, keyType, cid, key, '2', at, 'event', 'dict'].join('\t'),
  ];
}

/** The text of each table for each batch, in the order of the primary key as ingest writes it. */
function batchesOf(run: number): Buffer[][] {
  const batches: Buffer[][] = [];
  for (let from = 0; from < events; from += batchEvents) {
    const first = freshFrom + run * freshPerRun + from;
    const rows = Array.from({ length: batchEvents }, (_, n) => linesOf(first + n)).sort((a, b) =>
      (a[2] ?? '') < (b[2] ?? '') ? -1 : 1,
    );
    batches.push(copies.map((_, table) => Buffer.from(rows.map((lines) => `${lines[table] ?? ''}\n`).join(''))));
  }
  return batches;
}

async function copyBatches(url: string, batches: readonly (readonly Buffer[])[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const batch of batches) {
    await client.query('BEGIN');
    for (const [table, text] of batch.entries()) {
      const stream = client.query(copyFrom(copies[table] ?? ''));
      stream.end(text);
      await once(stream, 'finish');
    }
    await client.query('COMMIT');
  }
  await client.end();
}

/** Processor seconds of the whole machine so far: nothing else may run. */
function machineSeconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.sys + times.nice, 0) / 1_000;
}

async function walBytes(database: Database): Promise<number> {
  const { rows } = await database.query<{ bytes: number }>(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8 AS bytes`);
  return rows[0]?.bytes ?? 0;
}

async function measure(database: Database, url: string, connections: number, run: number): Promise<string> {
  const batches = batchesOf(run);
  const shares = Array.from({ length: connections }, (_, n) => batches.filter((_batch, index) => index % connections === n));
  await database.query('CHECKPOINT');
  const [walBefore, cpuBefore, startMs] = [await walBytes(database), machineSeconds(), performance.now()];
  await Promise.all(shares.map((share) => copyBatches(url, share)));
  const seconds = (performance.now() - startMs) / 1_000;
  const cpu = ((machineSeconds() - cpuBefore) / events) * 1e6;
  const wal = ((await walBytes(database)) - walBefore) / events / 1_024;
  const rate = Math.round(events / seconds).toLocaleString('en');
  return `${connections} connection(s): ${rate}/s, ${cpu.toFixed(1)} µs of the machine's processors and ${wal.toFixed(1)} KB of log each`;
}

/** Where a base of so many keys stands already. */
const given = process.argv[3];
const directory = given ?? (await mkdtemp(path.join(tmpdir(), 'dict-vsync-floor-')));
const database = await benchDatabase(directory);
try {
  if (given === undefined) await generateEntries(database, keys);
  console.log(`${events.toLocaleString('en')} new keys into ${keys.toLocaleString('en')}, right after a checkpoint`);
  for (let round = 0; round < rounds; round++) {
    for (const connections of [1, 2]) console.log(await measure(database, database.url, connections, round * 2 + connections));
  }
} finally {
  await database.close();
  if (given === undefined) await rm(directory, { recursive: true, force: true });
}
