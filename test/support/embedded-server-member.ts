/**
 * A program that uses an embedded server, for tests that need several or that kill one: joins the server of the directory given
 * (`durable` as second argument makes it so), prints how to reach it as one JSON line, and leaves when a line comes on standard input (or that ends).
 */

import { once } from 'node:events';
import { startEmbeddedServer } from '../../src/platform/postgres/embedded-server.ts';

const [dataDirectory, durability] = process.argv.slice(2);
try {
  const server = await startEmbeddedServer({
    dataDirectory: dataDirectory ?? '',
    durable: durability === 'durable',
    startTimeoutMs: 60_000,
    stopTimeoutMs: 30_000,
  });
  process.stdout.write(`${JSON.stringify({ url: server.url, port: server.port })}\n`);
  process.stdin.resume();
  await Promise.race([once(process.stdin, 'data'), once(process.stdin, 'end')]);
  await server.leave();
  process.exit(0);
} catch (cause) {
  process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`);
  process.exit(1);
}
