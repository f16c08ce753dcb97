/** "Did you mean" as a specification: near names are suggested, far ones are not. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { suggestion } from './suggestion.ts';

describe('a suggestion', () => {
  const names = ['DICT_VSYNC_LOG_LEVEL', 'DICT_VSYNC_LOG_FORMAT', 'verification.dailyAt'];
  for (const [given, meant] of [
    ['DICT_VSYNC_LOG_LEVLE', 'DICT_VSYNC_LOG_LEVEL'],
    ['DICT_VSYNC_LOGFORMAT', 'DICT_VSYNC_LOG_FORMAT'],
    ['verification.dailyat', 'verification.dailyAt'],
    ['something else altogether', null],
  ] as const) {
    it(`for ${given} is ${meant}`, () => assert.equal(suggestion(given, names), meant));
  }
});
