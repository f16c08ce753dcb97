/**
 * Writing much to standard output: waits while the reader is slow, and tells when it has gone (as `head` does), which is an end
 * like any other and no error.
 */

import type { Writable } from 'node:stream';
import { fileFailureOf } from '../platform/system-failure.ts';

/** What a command has to say cannot be written, for another reason than that nobody reads it. */
export class OutputFailed extends Error {
  override readonly name = 'OutputFailed';

  constructor(cause: unknown) {
    super(`standard output cannot be written: ${fileFailureOf(cause)}`, { cause });
  }
}

const goneCodes: ReadonlySet<unknown> = new Set(['EPIPE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END']);

/**
 * Resolves once the text is handed over: true; or false where nobody reads any more: stop. Rejects with `OutputFailed` for every
 * other failure, such as a full disk.
 */
export function writeOut(stream: Writable, text: string | Uint8Array): Promise<boolean> {
  // A stream also tells its failures to listeners, and ends the process where it has none.
  if (!stream.listeners('error').includes(toldElsewhere)) stream.on('error', toldElsewhere);
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error == null) resolve(true);
      else if ('code' in error && goneCodes.has(error.code)) resolve(false);
      else reject(new OutputFailed(error));
    });
  });
}

function toldElsewhere(): void {}
