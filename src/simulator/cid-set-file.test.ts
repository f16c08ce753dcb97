/** How a CID set file comes to be, and every form in which it can come out. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { PSP, phones } from '../../test/support/simulator-calls.ts';
import { type CidSetFiles, cidSetFiles } from './cid-set-file.ts';
import { createDirectory, type Directory, entryRecord } from './directory.ts';
import { FILE_VARIANTS, type FileVariant } from './file-variant.ts';

function directoryOf(count: number): Directory {
  const directory = createDirectory({ logEventsMax: 1_000 });
  for (const { entry, requestId } of phones(count)) {
    const attributes = {
      key: entry.key,
      keyType: entry.keyType,
      ...entry.account,
      ownerType: entry.owner.type,
      taxIdNumber: entry.owner.taxIdNumber,
      name: entry.owner.name,
      tradeName: entry.owner.tradeName,
    };
    directory.apply({ add: entryRecord(attributes, { requestId, createdMs: 0, ownedSinceMs: 0 }), log: false, atMs: 0 });
  }
  return directory;
}

function filesOf(directory: Directory, kept = 20): CidSetFiles {
  let id = 0;
  return cidSetFiles(directory, {
    file: { requestedMs: 10, processingMs: 90, snapshotAt: 0.5, kept },
    seed: 1,
    upperCase: false,
    nextId: () => {
      id += 1;
      return String(id);
    },
  });
}

function made(variant: FileVariant, count = 100) {
  const directory = directoryOf(count);
  const files = filesOf(directory);
  files.plan(variant, 1);
  const { id } = files.request(PSP, 'PHONE', 0);
  const state = files.find(id, 100);
  assert.ok(state !== undefined);
  const chunks = state.name === null ? undefined : files.content(state.name, 100);
  const text = chunks === undefined ? null : Buffer.concat([...chunks]).toString('latin1');
  const whole = text !== null && createHash('sha256').update(text).digest('hex') === state.sha256;
  const cids = new Set(directory.scope(PSP, 'PHONE').byCid.keys());
  return { state, text, cids, announced: whole && text.length === state.bytes, lines: text?.split('\n') ?? [] };
}

describe('CID set file', () => {
  it('goes from REQUESTED over PROCESSING to AVAILABLE', () => {
    const files = filesOf(directoryOf(3));
    const { id, status } = files.request(PSP, 'PHONE', 1_000);
    assert.equal(status, 'REQUESTED');
    assert.equal(files.find(id, 1_010)?.status, 'PROCESSING');
    assert.equal(files.find(id, 1_099)?.status, 'PROCESSING');
    const available = files.find(id, 1_100);
    assert.equal(available?.status, 'AVAILABLE');
    assert.equal(available.creationMs, 1_100);
    assert.match(available.name ?? '', /^00038166_PHONE_1_19700101000001000\.txt$/);
  });

  it('holds every CID once, each line ended, in another order than the directory', () => {
    const { lines, cids, announced } = made('proper');
    assert.equal(announced, true);
    assert.equal(lines.pop(), '');
    assert.deepEqual(new Set(lines), cids);
    assert.equal(lines.length, cids.size);
    assert.notDeepEqual(lines, [...cids]);
  });

  it('is empty for an empty set', () => {
    const { state, text, announced } = made('proper', 0);
    assert.equal(text, '');
    assert.equal(state.bytes, 0);
    assert.equal(announced, true);
  });

  it('keeps the content of the newest only', () => {
    const files = filesOf(directoryOf(2), 1);
    const first = files.request(PSP, 'PHONE', 0);
    const second = files.request(PSP, 'PHONE', 0);
    assert.equal(files.find(second.id, 100)?.status, 'AVAILABLE');
    assert.equal(files.find(first.id, 100)?.status, 'UNAVAILABLE');
  });

  const promises: Readonly<Record<FileVariant, (file: ReturnType<typeof made>) => boolean>> = {
    proper: ({ announced }) => announced,
    empty: ({ state, text, announced }) => state.bytes === 0 && text === '' && announced,
    truncated: ({ state, text, announced }) => !announced && (text?.length ?? 0) < (state.bytes ?? 0),
    cut: ({ text, announced }) => announced && text?.endsWith('\n') === false && text.length % 65 !== 64,
    half: ({ lines, cids, announced }) => announced && lines.length - 1 === cids.size / 2,
    foreign: ({ lines, cids, announced }) => announced && !lines.some((line) => cids.has(line)) && lines.length === 101,
    'duplicate-line': ({ lines, cids, announced }) => announced && lines.length === 102 && new Set(lines).size === cids.size + 1,
    'malformed-line': ({ lines, announced }) => announced && lines.filter((line) => /g$/.test(line)).length === 1,
    'upper-case': ({ text, announced }) => announced && /^([0-9A-F]{64}\n)+$/.test(text ?? ''),
    crlf: ({ text, announced }) => announced && /^([0-9a-f]{64}\r\n){100}$/.test(text ?? ''),
    'no-last-newline': ({ text, announced }) => announced && text?.length === 100 * 65 - 1,
    'wrong-sha256': ({ state, text }) => text?.length === state.bytes && !madeOf(text, state.sha256),
    'wrong-bytes': ({ state, text }) => text?.length !== state.bytes && madeOf(text ?? '', state.sha256),
    'not-found': ({ state, text }) => state.status === 'AVAILABLE' && text === null,
    unavailable: ({ state }) => state.status === 'UNAVAILABLE',
    error: ({ state }) => state.status === 'ERROR',
    'never-ready': ({ state }) => state.status === 'PROCESSING',
  };
  for (const variant of FILE_VARIANTS) {
    it(`comes out ${variant} when planned so`, () => {
      assert.ok(promises[variant](made(variant)));
    });
  }
});

function madeOf(text: string, sha256: string | null): boolean {
  return createHash('sha256').update(text).digest('hex') === sha256;
}
