/** The map of errors against the official document: no name that DICT can answer is left to guessing. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { BRIDGE_REMEDIES, DICT_REMEDIES, DictError, type Remedy } from '../../src/dict/errors.ts';

const text = readFileSync(new URL('dict-openapi-2.6.1.json', import.meta.url), 'utf8');

/** Rows of the table "Tratamento de erros": name and HTTP status. */
function publishedErrors(): ReadonlyMap<string, number> {
  // The file is the official document, whose description is a text.
  const { description } = (JSON.parse(text) as { info: { description: string } }).info;
  const table = description.slice(description.indexOf('id="error-definitions">'));
  const rows = table.slice(0, table.indexOf('</table>')).matchAll(/<code>(\w+)<\/code>\s*<\/td>\s*<td>(\d{3})<\/td>/g);
  return new Map([...rows].map(([, name = '', status]) => [name, Number(status)]));
}

describe('the map of errors', () => {
  const published = publishedErrors();

  it('reads the whole table of the document', () => {
    assert.equal(published.size, text.match(/<td>\\n\s*<code>/g)?.length);
    assert.ok(published.size >= 48, `${published.size} names`);
  });

  it('has every name of the table, and no other', () => {
    assert.deepEqual([...DICT_REMEDIES.keys()].toSorted(), [...published.keys()].toSorted());
  });

  it('has every name that an example of the document uses', () => {
    const used = [...text.matchAll(/api\/v2\/error\/([A-Za-z]+)/g)].map(([, name = '']) => name);
    assert.ok(used.length > 0);
    for (const name of used) assert.ok(DICT_REMEDIES.has(name), name);
  });

  it('uses none of DICT’s names for what DICT did not say', () => {
    for (const name of BRIDGE_REMEDIES.keys()) assert.ok(!published.has(name), name);
  });

  it('has asking again help exactly where the document says that DICT was busy, closed or at fault', () => {
    const retried = [...DICT_REMEDIES].filter(([, remedy]) => remedy === 'retry').map(([name]) => name);
    const passing = [...published].filter(([, status]) => status === 429 || status >= 500).map(([name]) => name);
    assert.deepEqual(retried.toSorted(), passing.toSorted());
  });

  const unknown: readonly (readonly [string, number, Remedy])[] = [
    ['EntryFrozenSince2027', 400, 'final'],
    ['TooEager', 429, 'retry'],
    ['Overhauled', 502, 'retry'],
    ['NotLoggedIn', 401, 'person'],
    ['NotYours', 403, 'person'],
    ['Vanished', 404, 'final'],
  ];
  for (const [name, status, remedy] of unknown) {
    it(`judges a name that it does not know by its status: ${status} is ${remedy}`, () => {
      assert.equal(new DictError(name, status, '').remedy, remedy);
    });
  }
});
