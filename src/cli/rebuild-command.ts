/** `dict-vsync rebuild`: derived data made to agree with what they are derived from. */

import { Command } from 'commander';
import { type RebuildResult, rebuildScopes } from '../ingest/rebuild.ts';
import { appendAudit } from '../ledger/audit.ts';
import { type Base, withBase } from '../wire.ts';
import { CommandFailed, type Io } from './io.ts';
import { scopesOfBase } from './known-scopes.ts';
import { operatorOf } from './operator.ts';
import { type Progress, withProgress } from './progress.ts';
import { resumably, resumeOption, runIdOf, tellingScan } from './resumption.ts';
import { keyTypeOption, participantOption, type ScopeChoice } from './scope-option.ts';

interface RebuildOptions extends ScopeChoice {
  readonly acceptAltered?: true;
  readonly resume?: string;
}

/** `rebuild`: rows whose CID does not match are reported and left, unless told otherwise. */
export function rebuildCommand(io: Io): Command {
  return new Command('rebuild')
    .description('Recompute CIDs from the stored attributes, and VSync, counts and buckets from the CIDs; may run beside traffic')
    .addOption(participantOption())
    .addOption(keyTypeOption())
    .option('--accept-altered', 'take the stored attributes for true where they do not hash to the CID that counts')
    .addOption(resumeOption())
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
Rows that may have been altered behind the system's back are left and counted (exit status 1), unless --accept-altered.
"dict-vsync scan" shows them; "dict-vsync reconcile --from-rung scan" mends them from DICT, which is usually right.`,
    )
    .action((options: RebuildOptions) =>
      withProgress(io, { title: 'rebuild', unit: 'rows' }, (apart, progress) => rebuild(apart, options, progress)),
    );
}

async function rebuild(io: Io, options: RebuildOptions, progress: Progress): Promise<void> {
  await withBase(io, async (base) => {
    const { database, clock } = base;
    const acceptAltered = options.acceptAltered === true;
    const scopes = await scopesOfBase(base, options);
    const id = await runIdOf(base, io, { kind: 'rebuild', resume: options.resume, acceptAltered, scopes });
    let left = 0;
    await resumably(io, 'rebuild', id, async () => {
      const deps = { database, clock, signal: io.signal, onProgress: tellingScan(progress) };
      for await (const result of rebuildScopes(deps, scopes, { id, acceptAltered })) {
        await record(base, result);
        left += result.left;
        io.stdout.write(textOf(result));
      }
    });
    if (left > 0) {
      throw new CommandFailed(
        `${left} keys are not sound and were left: "dict-vsync scan" shows them, --accept-altered takes them as they are`,
      );
    }
  });
}

async function record(
  base: Base,
  { scope, seq, entries, restored, accepted, left, sumsCorrected }: RebuildResult,
): Promise<void> {
  await base.database.transaction((tx) =>
    appendAudit(tx, [
      {
        participant: scope.participant,
        keyType: scope.keyType,
        occurredAt: base.clock.now(),
        actor: operatorOf(base.config),
        kind: 'administration',
        action: 'VSYNC_REBUILD',
        outcome: left === 0 ? 'success' : 'failure',
        details: { seq, entries, restored, accepted, left, sums_corrected: sumsCorrected },
        correlationId: null,
      },
    ]),
  );
}

function textOf({ scope, seq, entries, restored, accepted, left, sumsCorrected }: RebuildResult): string {
  const done = [
    sumsCorrected ? 'VSync and count corrected' : 'VSync and count were right',
    ...(restored > 0 ? [`${restored} CIDs restored`] : []),
    ...(accepted > 0 ? [`${accepted} altered keys accepted`] : []),
    ...(left > 0 ? [`${left} unsound keys left`] : []),
  ];
  return `${scope.participant} ${scope.keyType.padEnd(5)}  seq ${seq}, ${entries} rows: ${done.join(', ')}\n`;
}
