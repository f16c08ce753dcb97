/**
 * What `doctor` examines in tests: a simulated DICT with mutual TLS and signatures, a participant's keys, and as many ways to spoil them
 * as there are tests. Keys are made once per process.
 */

import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, type TestContext } from 'node:test';
import { z } from 'zod';
import { issuedCertificate, simpleName } from '../../src/platform/certificate-issuing.ts';
import { scaledClock } from '../../src/platform/clock.ts';
import { demoKeyFiles, initDemoKeys } from '../../src/simulator/demo-keys.ts';
import { dictSide, participantSettings } from '../../src/simulator/demo-sides.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { runLine } from './command-run.ts';

const DAY_MS = 86_400_000;

const printed = z.object({
  ok: z.number(),
  warn: z.number(),
  fail: z.number(),
  skip: z.number(),
  findings: z.array(
    z.object({
      check: z.string(),
      level: z.enum(['ok', 'warn', 'fail', 'skip']),
      seen: z.string(),
      advice: z.string().nullable(),
    }),
  ),
});

type Printed = z.infer<typeof printed>;
export type Finding = Printed['findings'][number];

export interface Examined extends Printed {
  readonly exitCode: number;
  /** The only finding of that check. */
  of(check: string): Finding;
}

export interface DoctorWorld {
  readonly simulator: Simulator;
  /** Of this test; goes with it. */
  readonly directory: string;
  /** Everything set as it has to be. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs the doctor with these settings instead. */
  examine(changed?: Readonly<Record<string, string | undefined>>): Promise<Examined>;
}

const temporary = mkdtempSync(path.join(tmpdir(), 'dict-vsync-doctor-test-'));
after(() => rmSync(temporary, { recursive: true }));

const pki = path.join(temporary, 'pki');
initDemoKeys(pki, new Date());
/** The good ones. */
export const files = demoKeyFiles(pki);

const otherPki = path.join(temporary, 'other-pki');
initDemoKeys(otherPki, new Date());
/** As good, of an authority that nobody in the test knows. */
export const otherFiles = demoKeyFiles(otherPki);

/** Runs it with exactly this environment. */
export async function examine(env: Readonly<Record<string, string | undefined>>, cwd = temporary): Promise<Examined> {
  const { stdout, stderr, exitCode } = await runLine(['doctor', '--json'], { env, cwd });
  assert.equal(stderr, '');
  const examined = printed.parse(JSON.parse(stdout));
  const of = (check: string): Finding => {
    const found = examined.findings.filter((finding) => finding.check === check);
    const [only] = found;
    assert.ok(only !== undefined && found.length === 1, `one finding of ${check}, among ${stdout}`);
    return only;
  };
  return { ...examined, exitCode, of };
}

/** `clockAheadMs`: how far DICT's clock is from ours. */
export async function doctorWorld(
  t: TestContext,
  options: SimulatorOptions & { readonly clockAheadMs?: number } = {},
): Promise<DoctorWorld> {
  const { clockAheadMs = 0, ...more } = options;
  const clock = scaledClock(1, Date.now());
  const shifted = { ...clock, now: () => new Date(clock.now().getTime() + clockAheadMs) };
  const simulator = await startSimulator({ ...dictSide(pki), clock: shifted, ...more });
  t.after(() => simulator.close());
  const directory = mkdtempSync(path.join(temporary, 'test-'));
  const env = {
    DATA_DIR: path.join(directory, 'data'),
    DICT_URL: simulator.apiUrl,
    PARTICIPANT_ISPB: '00038166',
    DICT_VSYNC_LOG_LEVEL: 'error',
    ...participantSettings(pki),
  };
  return { simulator, directory, env, examine: (changed = {}) => examine({ ...env, ...changed }, directory) };
}

/** The same key and name in a certificate of another time, of the good authority; returns its file. */
export function reissued(directory: string, certificateFile: string, validity: { notBefore: Date; notAfter: Date }): string {
  const { publicKey } = new X509Certificate(readFileSync(certificateFile));
  const authorityKey = createPrivateKey(readFileSync(path.join(pki, 'authority-key.pem')));
  const certificate = issuedCertificate({
    ...validity,
    publicKey,
    subject: simpleName('dict-vsync demonstração', 'Reemitido'),
    issuer: simpleName('dict-vsync demonstração', 'Autoridade de demonstração'),
    issuerKey: authorityKey,
    serial: 4_711n,
    authority: false,
    hosts: ['localhost', '127.0.0.1'],
  });
  const file = path.join(directory, `reissued-${path.basename(certificateFile)}`);
  writeFileSync(file, certificate.toString(), { mode: 0o600 });
  return file;
}

/** So many days from now; a little later, so that whole days are left. */
export function inDays(days: number): Date {
  return new Date(Date.now() + days * DAY_MS + 60_000);
}
