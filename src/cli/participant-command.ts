/** `dict-vsync participant`: whose keys the base holds, and the rules that each participant has set for itself. */

import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { CID_ALGORITHMS, type CidAlgorithm } from '../cid/cid.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { isParticipant, type Participant } from '../dict/participant.ts';
import {
  ensureParticipants,
  lockParticipant,
  type OrphanPolicy,
  type ParticipantRules,
  readParticipants,
  writeParticipant,
} from '../ingest/participant-store.ts';
import { appendAudit } from '../ledger/audit.ts';
import { lockVSyncs } from '../vsync/vsync-store.ts';
import { type Base, withBase } from '../wire.ts';
import { CommandFailed, type Io } from './io.ts';
import { operatorOf } from './operator.ts';
import { table } from './table.ts';

type Threshold = number | 'default';

interface SetOptions {
  readonly cidAlgorithm?: CidAlgorithm;
  readonly orphanPolicy?: OrphanPolicy;
  readonly approvalThreshold?: Threshold;
  readonly criticalThreshold?: Threshold;
}

/** `participant list` and `participant set`. */
export function participantCommand(io: Io): Command {
  return new Command('participant')
    .description('Participants of the base and their rules')
    .addCommand(listCommand(io))
    .addCommand(setCommand(io));
}

function listCommand(io: Io): Command {
  return new Command('list')
    .description('The participants whose keys the base holds')
    .option('--json', 'one JSON object per participant')
    .allowExcessArguments(false)
    .action((options: { readonly json?: true }) =>
      withBase(io, async ({ database }) => {
        const all = await readParticipants(database);
        io.stdout.write(options.json === true ? all.map((rules) => `${JSON.stringify(jsonOf(rules))}\n`).join('') : textOf(all));
      }),
    );
}

function setCommand(io: Io): Command {
  return new Command('set')
    .description('Set rules of a participant, known or new')
    .addArgument(new Argument('<ispb>', 'eight digits, such as 00038166').argParser(ispbOf))
    .addOption(
      new Option('--cid-algorithm <name>', 'how its CIDs are made; only while it has no CIDs').choices([...CID_ALGORITHMS]),
    )
    .addOption(
      new Option('--orphan-policy <policy>', 'what becomes of a key that DICT does not have, once proven').choices([
        'review',
        'remove',
      ]),
    )
    .addOption(
      new Option('--approval-threshold <n>', 'divergences above which a person approves; "default"').argParser(thresholdOf),
    )
    .addOption(
      new Option('--critical-threshold <n>', 'divergences above which it is an incident; "default"').argParser(thresholdOf),
    )
    .allowExcessArguments(false)
    .action((ispb: Participant, options: SetOptions) => setRules(io, ispb, options));
}

function ispbOf(text: string): Participant {
  if (!isParticipant(text)) throw new InvalidArgumentError('It must be an ISPB: eight digits, such as 00038166.');
  return text;
}

function thresholdOf(text: string): Threshold {
  if (text === 'default') return 'default';
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number up to 999999999, or "default".');
  return Number(text);
}

function chosen(given: Threshold | undefined, present: number | null): number | null {
  if (given === undefined) return present;
  return given === 'default' ? null : given;
}

async function setRules(io: Io, ispb: Participant, options: SetOptions): Promise<void> {
  if (Object.keys(options).length === 0) throw new CommandFailed('nothing to set: name at least one rule (--help shows them)');
  await withBase(io, async (base) => {
    const rules = await changeRules(base, ispb, options);
    io.stdout.write(textOf([rules]));
  });
}

async function changeRules(base: Base, ispb: Participant, options: SetOptions): Promise<ParticipantRules> {
  return await base.database.transaction(async (tx) => {
    const now = base.clock.now();
    await ensureParticipants(tx, [ispb], now);
    // Nothing can be committed for the participant between the look whether it has CIDs and the change.
    const scopes = KEY_TYPES.map((keyType) => ({ participant: ispb, keyType }));
    if (options.cidAlgorithm !== undefined) await lockVSyncs(tx, scopes, now);
    const { rules: present, hasCids } = await lockParticipant(tx, ispb);
    const cidAlgorithm = options.cidAlgorithm ?? present.cidAlgorithm;
    if (cidAlgorithm !== present.cidAlgorithm && hasCids) {
      throw new CommandFailed(
        `--cid-algorithm: ${ispb} has CIDs made by ${present.cidAlgorithm}; the algorithm can only be chosen while it has none`,
      );
    }
    const rules: ParticipantRules = {
      participant: ispb,
      cidAlgorithm,
      orphanPolicy: options.orphanPolicy ?? present.orphanPolicy,
      approvalThreshold: chosen(options.approvalThreshold, present.approvalThreshold),
      criticalThreshold: chosen(options.criticalThreshold, present.criticalThreshold),
    };
    await writeParticipant(tx, rules, now);
    await appendAudit(tx, [
      {
        participant: ispb,
        keyType: null,
        occurredAt: now,
        actor: operatorOf(base.config),
        kind: 'administration',
        action: 'PARTICIPANT_RULES_SET',
        outcome: 'success',
        details: { before: jsonOf(present), after: jsonOf(rules) },
        correlationId: null,
      },
    ]);
    return rules;
  });
}

function jsonOf(rules: ParticipantRules): Record<string, string | number | null> {
  return {
    participant: rules.participant,
    cid_algorithm: rules.cidAlgorithm,
    orphan_policy: rules.orphanPolicy,
    approval_threshold: rules.approvalThreshold,
    critical_threshold: rules.criticalThreshold,
  };
}

function textOf(all: readonly ParticipantRules[]): string {
  return table(
    [
      { title: 'participant', value: (rules) => rules.participant },
      { title: 'CID algorithm', value: (rules) => rules.cidAlgorithm },
      { title: 'orphans', value: (rules) => rules.orphanPolicy },
      { title: 'approval above', value: (rules) => String(rules.approvalThreshold ?? 'default'), right: true },
      { title: 'critical above', value: (rules) => String(rules.criticalThreshold ?? 'default'), right: true },
    ],
    all,
  );
}
