/**
 * `dict-vsync simulator`: a DICT of one's own, until it is interrupted. What stands for good is configuration; how this one run
 * is to look is said by options. Misbehaviour beyond the contract's readings is set through the control interface.
 */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ConfigRefused, loadConfig } from '../config.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { isParticipant, type Participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { scaledClock, systemClock } from '../platform/clock.ts';
import { KeyFileRefused } from '../platform/key-files.ts';
import type { ActiveEntry } from '../simulator/control.ts';
import { initDemoKeys } from '../simulator/demo-keys.ts';
import { dictSide, participantSettings, serverIsFor } from '../simulator/demo-sides.ts';
import { type FaultPlan, parseFaultPlan } from '../simulator/fault-plan.ts';
import { READINGS, type Readings } from '../simulator/options.ts';
import { type Simulator, startSimulator } from '../simulator/simulator.ts';
import { CommandFailed, type Io } from './io.ts';

interface Options {
  readonly host?: string;
  readonly port?: number;
  readonly filesPort?: number;
  readonly controlPort?: number;
  readonly seed?: number;
  readonly entries: number;
  readonly participant: readonly Participant[];
  readonly writeEntries?: string;
  readonly reading: Partial<Readings>;
  readonly limits: boolean;
  readonly faults?: FaultPlan;
  readonly initPki?: string;
}

const entriesMax = 5_000_000;

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`A whole number from ${min} to ${max} is needed.`);
  };
}

function participants(text: string): Participant[] {
  return text.split(',').map((part) => {
    if (isParticipant(part)) return part;
    throw new InvalidArgumentError(`"${part}" is not an ISPB (eight digits, such as 00038166).`);
  });
}

const readingsHelp = Object.entries(READINGS)
  .map(([name, values]) => `${name}=${values.join('|')}`)
  .join(', ');

function reading(text: string, before: Partial<Readings>): Partial<Readings> {
  const [name = '', value = ''] = text.split('=');
  const allowed: readonly string[] = Object.entries(READINGS).find(([known]) => known === name)?.[1] ?? [];
  if (!allowed.includes(value)) throw new InvalidArgumentError(`It is none of ${readingsHelp}.`);
  return { ...before, [name]: value };
}

function faultPlan(text: string): FaultPlan {
  const plan = parseFaultPlan(text);
  if (plan === null)
    throw new InvalidArgumentError('SEED or SEED:RATE is needed, such as 7:0.1; the rate is more than 0, at most 1.');
  return plan;
}

/** The command `simulator`. */
export function simulatorCommand(io: Io): Command {
  return new Command('simulator')
    .description('Run a simulated DICT: the API for reconciliation and traffic, files on a second port, until interrupted')
    .option('--host <address>', 'where API and files listen (configured: simulator.host)')
    .option('--port <port>', 'port of the API, 0 takes a free one (configured: simulator.port)', integer(0, 65_535))
    .option('--files-port <port>', 'port of the CID set files (configured: simulator.filesPort)', integer(0, 65_535))
    .option('--control-port <port>', 'port of the control interface (configured: simulator.controlPort)', integer(0, 65_535))
    .option('--seed <number>', 'seed of everything random (configured: simulator.seed)', integer(0, 2_147_483_647))
    .option('--entries <count>', 'generated entries of each participant, over all key types', integer(0, entriesMax), 0)
    .option('--participant <ispb,…>', 'whose entries are generated', participants, [])
    .option(
      '--write-entries <file>',
      'write the generated entries as NDJSON, ready for "dict-vsync import"; - is standard output',
    )
    .option(
      '--init-pki <directory>',
      'make keys and certificates there on first use; speak mutual TLS, sign answers, demand signatures (configured: simulator.pkiDir)',
    )
    .option(
      '--faults <seed[:rate]>',
      'faults of every kind, drawn from that seed for that share of calls (0.05 unless given)',
      faultPlan,
    )
    .option('--no-limits', 'no rate limits: every token bucket is always full')
    .addOption(
      new Option('--reading <name=value>', `one reading of what the contract leaves unsaid: ${readingsHelp}`)
        .argParser(reading)
        .default({}, 'the first of each'),
    )
    .allowExcessArguments(false)
    .action((options: Options) => simulate(io, options));
}

async function simulate(io: Io, options: Options): Promise<void> {
  if (options.entries > 0 && options.participant.length === 0) {
    throw new CommandFailed('simulator: --entries needs --participant, the ISPBs whose entries are generated');
  }
  if (options.writeEntries !== undefined && options.entries === 0) {
    throw new CommandFailed('simulator: --write-entries needs --entries, or there is nothing to write');
  }
  const { simulator, seed, pkiDirectory } = await start(io, options);
  try {
    seedEntries(simulator, options, seed);
    if (options.writeEntries !== undefined) await writeEntries(io, simulator, options.writeEntries);
    const about = [
      `DICT API        ${simulator.apiUrl}`,
      `CID set files   ${simulator.filesUrl}`,
      `Listing (SOAP)  ${simulator.listingUrl}`,
      `Control         ${simulator.controlUrl ?? 'off (--control-port switches it on)'}`,
      ...(options.faults === undefined ? [] : [`Faults          seed ${options.faults.seed}, rate ${options.faults.rate}`]),
      `Signatures      ${pkiDirectory === null ? 'none (--init-pki makes keys and certificates)' : 'answers are signed, bodies have to be'}`,
      `TLS             ${pkiDirectory === null ? 'none (--init-pki)' : 'mutual: clients have to show a certificate of the same authority'}`,
      `Entries         ${options.entries} of each participant${options.participant.length === 0 ? '' : `: ${options.participant.join(', ')}`}`,
    ];
    // With entries on standard output, what is for people goes beside it.
    const out = options.writeEntries === '-' ? io.stderr : io.stdout;
    if (pkiDirectory !== null) {
      about.push('A participant sets');
      for (const [name, value] of Object.entries(participantSettings(pkiDirectory))) about.push(`  ${name}=${value}`);
    }
    out.write(`${about.join('\n')}\nReady; Ctrl+C ends it.\n`);
    if (!io.signal.aborted) await once(io.signal, 'abort');
  } finally {
    await simulator.close();
  }
}

/** On these it is reached by whatever name the machine has: nothing can be said about the certificate. */
const everywhere: readonly string[] = ['0.0.0.0', '::'];

function pkiDirectoryOf(io: Io, options: Options, configured: string | null, host: string): string | null {
  const directory = options.initPki === undefined ? configured : initializedPki(io, options.initPki, host);
  if (directory !== null && !everywhere.includes(host) && !serverIsFor(directory, host)) {
    throw new CommandFailed(
      `simulator: the certificate in ${directory} is not for ${host}: listen on a host that it is for, or let --init-pki make another in a new directory`,
    );
  }
  return directory;
}

function initializedPki(io: Io, given: string, host: string): string {
  const directory = path.resolve(io.cwd, given);
  try {
    initDemoKeys(directory, systemClock.now(), everywhere.includes(host) ? [] : [host]);
  } catch (cause) {
    throw new CommandFailed(`simulator: --init-pki: ${cause instanceof Error ? cause.message : String(cause)}`, 1, cause);
  }
  return directory;
}

interface Started {
  readonly simulator: Simulator;
  readonly seed: number;
  readonly pkiDirectory: string | null;
}

async function start(io: Io, options: Options): Promise<Started> {
  try {
    const { simulator: configured, program } = loadConfig(io);
    const seed = options.seed ?? configured.seed;
    const host = options.host ?? configured.host;
    const pkiDirectory = pkiDirectoryOf(io, options, configured.pkiDir, host);
    const simulator = await startSimulator({
      ...(pkiDirectory === null ? {} : dictSide(pkiDirectory)),
      host,
      port: options.port ?? configured.port,
      filesPort: options.filesPort ?? configured.filesPort,
      controlPort: options.controlPort ?? configured.controlPort,
      logLagMs: configured.logLagMs,
      seed,
      clock: program.timeScale === 1 ? systemClock : scaledClock(program.timeScale),
      readings: options.reading,
      faultPlan: options.faults ?? null,
      ...(options.limits ? {} : { policies: null }),
    });
    return { simulator, seed, pkiDirectory };
  } catch (cause) {
    if (cause instanceof CommandFailed) throw cause;
    if (cause instanceof ConfigRefused || cause instanceof KeyFileRefused) throw new CommandFailed(cause.message, 1, cause);
    if (cause instanceof Error && 'code' in cause) {
      throw new CommandFailed(`simulator: cannot listen (${cause.message}); --port and --files-port choose others`, 1, cause);
    }
    throw cause;
  }
}

function seedEntries(simulator: Simulator, options: Options, seed: number): void {
  for (const participant of options.participant) {
    for (const [index, keyType] of KEY_TYPES.entries()) {
      // What does not divide by five goes to the first key types.
      const count = Math.floor((options.entries + KEY_TYPES.length - 1 - index) / KEY_TYPES.length);
      simulator.state.seedEntries(sampleEntries({ seed: `${seed} ${participant}`, participant, keyType, count }));
    }
  }
}

async function writeEntries(io: Io, simulator: Simulator, file: string): Promise<void> {
  const lines = Readable.from(entryLines(simulator.state.activeEntries()));
  try {
    if (file === '-') await pipeline(lines, io.stdout, { end: false });
    else await pipeline(lines, createWriteStream(path.resolve(io.cwd, file)));
  } catch (cause) {
    throw new CommandFailed(
      `simulator: cannot write ${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      1,
      cause,
    );
  }
}

function* entryLines(entries: Iterable<ActiveEntry>): Generator<string> {
  for (const { entry, requestId } of entries) {
    const row = { ...flatEntry(entry, requestId), registered_at: entry.creationDate };
    yield `${JSON.stringify(row)}\n`;
  }
}
