/** The file of an import's refused rows, one JSON object a line: line, reason and the row. For the owner's eyes only. */

import { type FileHandle, open } from 'node:fs/promises';
import type { RefusedRows } from '../ingest/import-loading.ts';
import type { RefusedLine } from '../ingest/row-block.ts';
import { fileFailureOf } from '../platform/system-failure.ts';
import { CommandFailed } from './io.ts';

/** Rows are gathered up to this much before they are written. */
const bufferedBytes = 65_536;

/** Made, or emptied, when the first row is refused; an import that goes on writes behind what it has refused before. */
export class RefusedFile implements RefusedRows {
  readonly name: string;
  #handle: FileHandle | null = null;
  #bytes = 0;
  #lines: string[] = [];
  #waitingCharacters = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Cuts the file to what an earlier run is known to have written; whether that much is there. */
  async goOnAfter(bytes: number): Promise<boolean> {
    await this.close();
    this.#bytes = bytes;
    if (bytes === 0) return true;
    try {
      this.#handle = await open(this.name, 'r+');
      if ((await this.#handle.stat()).size < bytes) return false;
      await this.#handle.truncate(bytes);
      return true;
    } catch {
      // Not there, or no longer ours: the import begins anew, and says so where it cannot write.
      return false;
    }
  }

  async write({ line, reason, detail, raw }: RefusedLine): Promise<void> {
    const text = `${JSON.stringify({ line, reason, detail, row: raw })}\n`;
    this.#lines.push(text);
    this.#waitingCharacters += text.length;
    if (this.#waitingCharacters >= bufferedBytes || this.#handle === null) await this.#flush();
  }

  /** Everything on disk; how many bytes that is. */
  async settle(): Promise<number> {
    await this.#flush();
    await this.#writing(async () => this.#handle?.datasync());
    return this.#bytes;
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = null;
    this.#lines = [];
    this.#waitingCharacters = 0;
  }

  async #flush(): Promise<void> {
    if (this.#lines.length === 0) return;
    const bytes = Buffer.from(this.#lines.join(''));
    this.#lines = [];
    this.#waitingCharacters = 0;
    await this.#writing(async () => {
      this.#handle ??= await open(this.name, 'w', 0o600);
      for (let written = 0; written < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(bytes, written, bytes.length - written, this.#bytes);
        written += bytesWritten;
        this.#bytes += bytesWritten;
      }
    });
  }

  async #writing(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      throw new CommandFailed(`${this.name} cannot be written: ${fileFailureOf(cause)}`, 1, cause);
    }
  }
}
