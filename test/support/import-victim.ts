/**
 * A process that imports a file with small limits, and kills itself with SIGKILL when it hears of its progress for the Nth time or, with
 * `settle`, when refused rows were written and nothing of them is committed. Without a kill it prints the result.
 */

import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { RefusedFile } from '../../src/cli/refused-file.ts';
import { importFile } from '../../src/ingest/file-import.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { openDatabase } from '../../src/platform/postgres/database.ts';
import { importedAsOf, smallLimits } from './imported-file.ts';

const [url = '', file = '', where = '', count = '0'] = process.argv.slice(2);
let left = Number(count);

function pass(point: string): void {
  if (point !== where) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

const database = await openDatabase({
  ...{ url, poolMin: 0, poolMax: 5, statementTimeoutMs: 60_000, connectTimeoutMs: 10_000, applicationName: 'import victim' },
});
const refused = new RefusedFile(`${file}.refused.ndjson`);
const handle = await open(file);
const result = await importFile(
  { database, clock: systemClock, newId: randomUUID, ...smallLimits, workers: 1 },
  {
    handle,
    format: 'ndjson',
    asOf: importedAsOf,
    refused: {
      goOnAfter: (bytes) => refused.goOnAfter(bytes),
      write: (row) => refused.write(row),
      async settle() {
        const bytes = await refused.settle();
        pass('settle');
        return bytes;
      },
    },
  },
  {
    onUnknown: () => {},
    onProgress: ({ phase }) => pass(phase.split(' ')[0] ?? ''),
    async onEnd() {
      pass('end');
    },
  },
);
process.stdout.write(JSON.stringify(result));
await refused.close();
await handle.close();
await database.close();
