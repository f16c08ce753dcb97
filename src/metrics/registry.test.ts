/** Specifies what metrics tell of token buckets, over all participants, none of whom is named. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { participant } from '../dict/participant.ts';
import { createMetrics } from './registry.ts';

const policy = 'CIDS_ENTRIES_READ';

describe('metrics of token buckets', () => {
  it('sum who waits, show the scarcest bucket, and count refusals and 429s', async () => {
    const metrics = createMetrics();
    const ours = metrics.buckets({ participant: participant('00038166'), policy });
    const others = metrics.buckets({ participant: participant('60746948'), policy });
    ours.onWaiting?.({ person: 0, verification: 1, routine: 5 });
    others.onWaiting?.({ person: 0, verification: 0, routine: 2 });
    ours.onWaiting?.({ person: 0, verification: 0, routine: 3 });
    ours.onTokens?.({ available: 50, capacity: 100 });
    others.onTokens?.({ available: 10, capacity: 100 });
    ours.onTokens?.({ available: 40, capacity: 100 });
    ours.onRefused?.({ priority: 'routine', waitedMs: 1, why: 'no-tokens' });
    ours.onExhausted?.();
    const lines = new Set((await metrics.text()).split('\n'));
    for (const line of [
      `dict_client_token_waiting{policy="${policy}",priority="routine"} 5`,
      `dict_client_token_waiting{policy="${policy}",priority="verification"} 0`,
      `dict_client_token_share{policy="${policy}"} 0.1`,
      `dict_client_token_refusals_total{policy="${policy}",priority="routine",why="no-tokens"} 1`,
      `dict_client_rate_limited_total{policy="${policy}"} 1`,
    ]) {
      assert.ok(lines.has(line), line);
    }
    assert.doesNotMatch([...lines].join('\n'), /00038166|60746948/);
  });
});
