/** The real `dict-vsync bridge` in a process of its own, which a test may kill and start again on the same port. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface BridgeProcess {
  readonly port: number;
  /** `grpc://host:port` */
  readonly url: string;
  /** Everything on standard error so far. */
  stderr(): string;
  /** Sends the signal and waits for the end; the exit status, or null where the signal ended it. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
}

export interface BridgeProcessOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Default: a free one. */
  readonly port?: number;
}

/** Starts one; it is killed at the end of the test where it still runs. */
export async function startBridgeProcess(t: TestContext, options: BridgeProcessOptions): Promise<BridgeProcess> {
  const child = spawn(process.execPath, [main, 'bridge'], {
    cwd: options.cwd,
    env: {
      ...{ PATH: process.env['PATH'] ?? '', HOME: options.cwd, DICT_VSYNC_LOG_LEVEL: 'warn' },
      DICT_VSYNC_BRIDGE_PORT: String(options.port ?? 0),
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const closed = once(child, 'close');
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await closed;
  });
  const port = await portOf(child, () => stderr);
  return {
    port,
    url: `grpc://127.0.0.1:${port}`,
    stderr: () => stderr,
    end: async (signal) => {
      child.kill(signal);
      await closed;
      return child.exitCode;
    },
  };
}

async function portOf(child: ChildProcess, stderr: () => string): Promise<number> {
  let printed = '';
  for await (const piece of child.stdout ?? []) {
    printed += String(piece);
    const port = /^gRPC +\S+:([0-9]+),/m.exec(printed)?.[1];
    if (port !== undefined && printed.includes('Ready')) return Number(port);
  }
  throw new Error(`the bridge did not start: ${printed}${stderr()}`);
}
