/**
 * `npm run proto`: generates the TypeScript of the bridge's gRPC interface from proto/. `check`: the proto keeps buf's rules (every message
 * documented), breaks nothing that was released (proto-released/), and the generated files in the tree are, byte for byte, what the pinned
 * generator makes. `release`: what stands in proto/ becomes what may not be broken from now on.
 *
 * What was released is kept as text in the tree, not as a tag or an image: a shallow clone has it, and whoever changes it shows so in
 * the diff. Nothing is fetched: buf and its plugin are npm packages.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const source = 'proto';
const released = 'proto-released';
const generated = 'src/bridge/grpc/generated';

/** Runs buf; what it objects to is printed. */
function buf(...parameters: readonly string[]): boolean {
  try {
    execFileSync(process.execPath, ['node_modules/@bufbuild/buf/bin/buf', ...parameters], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    return true;
  } catch (cause) {
    if (cause instanceof Error && 'status' in cause && typeof cause.status === 'number') return false;
    throw cause;
  }
}

function filesIn(folder: string): readonly string[] {
  return globSync('**/*.ts', { cwd: folder })
    .map((path) => path.replaceAll('\\', '/'))
    .sort();
}

/** Generated files of the tree that are not what the generator makes now. */
function staleFiles(): readonly string[] {
  const fresh = mkdtempSync(join(tmpdir(), 'dict-vsync-proto-'));
  try {
    if (!buf('generate', '--output', fresh)) return [generated];
    const made = join(fresh, generated);
    const all = new Set([...filesIn(made), ...filesIn(generated)]);
    return [...all].filter((path) => contentOf(join(made, path)) !== contentOf(join(generated, path)));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Null for a file that is not there. */
function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

function check(): number {
  const faults: string[] = [];
  if (!buf('lint')) faults.push(`${source} breaks a rule of buf.yaml`);
  if (!buf('breaking', '--against', released)) faults.push(`${source} breaks clients of ${released}`);
  for (const path of staleFiles()) faults.push(`${generated}/${path} is not what ${source} makes; "npm run proto" makes it`);
  for (const fault of faults) console.log(fault);
  console.log(
    `${globSync(`${source}/**/*.proto`).length} proto files, ${filesIn(generated).length} generated: ${faults.length} faults`,
  );
  return faults.length;
}

function release(): number {
  if (!buf('lint') || !buf('breaking', '--against', released)) return 1;
  rmSync(released, { recursive: true });
  cpSync(source, released, { recursive: true });
  return 0;
}

const action = process.argv[2];
if (action === undefined) process.exitCode = buf('lint') && buf('generate') ? 0 : 1;
else if (action === 'check') process.exitCode = check() === 0 ? 0 : 1;
else if (action === 'release') process.exitCode = release();
else throw new TypeError(`proto: "${action}" is neither "check" nor "release"`);
