/** The simulator shares no code with the product; here the two meet: same CIDs, same VSyncs, and the client understands it. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidToHex, computeCid } from '../src/cid/cid.ts';
import { KEY_TYPES } from '../src/dict/key-type.ts';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { vsyncOf, vsyncToHex } from '../src/vsync/vsync.ts';

const PSP = participant('00038166');

describe('simulator and product', () => {
  it('agree on CID and VSync of every key type', async (t) => {
    const simulator = await startSimulator();
    t.after(() => simulator.close());
    for (const keyType of KEY_TYPES) {
      const samples = [...sampleEntries({ seed: 3, participant: PSP, keyType, count: 500 })];
      simulator.state.seedEntries(samples);
      const cids = samples.map(({ entry, requestId }) => computeCid(entry, requestId));
      for (const [index, { entry }] of samples.entries()) {
        const cid = cids[index];
        assert.equal(simulator.state.entryByKey(entry.key)?.cid, cid && cidToHex(cid));
      }
      assert.equal(simulator.state.vsync({ participant: PSP, keyType }).vsync, vsyncToHex(vsyncOf(cids)));
    }
  });
});
