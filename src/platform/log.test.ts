/** The log as a specification: its form, its levels, and what must never be seen in it. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLogger, type LogOptions } from './log.ts';

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const stream = { write: (text: string) => lines.push(text) };
  return { lines, log: createLogger({ level: 'info', format: 'json', stream, ...options }) };
}

interface Line {
  readonly time: string;
  readonly msg: string;
  readonly err?: { readonly message: string; readonly cause?: { readonly code?: string } };
}

/** The only line, parsed. */
function only(lines: readonly string[]): Line {
  assert.equal(lines.length, 1);
  // What a test expects of it, the test asserts.
  return JSON.parse(lines[0] ?? '') as Line;
}

describe('the log', () => {
  it('is one JSON object a line, with time, level and fields', () => {
    const { lines, log } = capture();
    log.child({ participant: '00038166' }).warn({ keyType: 'CPF', seq: 7n }, 'ingest behind');
    const { time, ...rest } = only(lines);
    assert.match(time, /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$/);
    assert.deepEqual(rest, { level: 'warn', participant: '00038166', keyType: 'CPF', seq: '7', msg: 'ingest behind' });
  });

  it('leaves out what is below its level', () => {
    const { lines, log } = capture({ level: 'warn' });
    log.debug({}, 'a');
    log.info({}, 'b');
    log.error({}, 'c');
    assert.equal(lines.length, 1);
  });

  it('hides personal data and secrets by their names, however deep, in either spelling', () => {
    const { lines, log } = capture();
    const entry = {
      key: '11122233300',
      key_type: 'CPF',
      owner_tax_id: '11122233300',
      owner: { name: 'Ana', taxIdNumber: '11122233300' },
    };
    log.info({ entry, entries: [entry], url: 'postgres://u:hunter2@h', cid: Buffer.alloc(32), other: Buffer.alloc(3) }, 'seen');
    const [line] = lines;
    assert.doesNotMatch(line ?? '', /11122233300|Ana|hunter2/);
    assert.match(line ?? '', /"key_type":"CPF"/);
    assert.match(line ?? '', /"other":"\[3 bytes\]"/);
  });

  it('shows of an error its name, message, code, stack and causes, never the rows that PostgreSQL quotes', () => {
    const { lines, log } = capture();
    const cause = Object.assign(new Error('duplicate key'), { code: '23505', detail: 'Key (key)=(11122233300) already exists.' });
    log.error({ err: new Error('batch failed', { cause }) }, 'failed');
    const { err } = only(lines);
    assert.equal(err?.message, 'batch failed');
    assert.equal(err?.cause?.code, '23505');
    assert.doesNotMatch(lines[0] ?? '', /11122233300/);
  });

  it('ends what contains itself', () => {
    const { lines, log } = capture();
    const loop: Record<string, unknown> = {};
    loop['loop'] = loop;
    log.info({ loop }, 'round');
    assert.match(lines[0] ?? '', /\[deeper\]/);
  });

  it('is plain text for people when asked', () => {
    const { lines, log } = capture({ format: 'text' });
    log.warn({ keyType: 'CPF', err: new Error('lost') }, 'ingest behind');
    assert.match(lines[0] ?? '', /^[0-9:.]{12} WARN {2}ingest behind keyType=CPF err=lost\n$/);
  });
});
