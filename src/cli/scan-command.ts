/** `dict-vsync scan`: does the base agree with itself? Changes nothing of it; keys are shown masked. */

import { Command } from 'commander';
import { type ScanResult, scanScopes } from '../ingest/scan.ts';
import { FINDING_KINDS } from '../ingest/scan-store.ts';
import { maskKey } from '../ledger/masking.ts';
import { withBase } from '../wire.ts';
import { CommandFailed, type Io } from './io.ts';
import { scopesOfBase } from './known-scopes.ts';
import { type Progress, withProgress } from './progress.ts';
import { resumably, resumeOption, runIdOf, tellingScan } from './resumption.ts';
import { keyTypeOption, participantOption, type ScopeChoice } from './scope-option.ts';

const meanings = {
  altered: 'attributes do not hash to the CID that counts',
  missing: 'an active entry whose CID does not count',
  surplus: 'a CID counts without an active entry',
  duplicated: 'a further CID counts for the key',
  buckets: 'buckets',
  vsync: 'VSync',
  count: 'count',
} as const;

interface ScanOptions extends ScopeChoice {
  readonly json?: true;
  readonly resume?: string;
}

/** `scan`: exit status 1 on findings. */
export function scanCommand(io: Io): Command {
  return new Command('scan')
    .description(
      'Recompute every CID from its stored attributes and compare entries, CIDs, buckets and VSync; exit status 1 on findings',
    )
    .addOption(participantOption())
    .addOption(keyTypeOption())
    .addOption(resumeOption())
    .option('--json', 'one JSON object per participant and key type')
    .allowExcessArguments(false)
    .action((options: ScanOptions) =>
      withProgress(io, { title: 'scan', unit: 'rows' }, (apart, progress) => scan(apart, options, progress)),
    );
}

async function scan(io: Io, options: ScanOptions, progress: Progress): Promise<void> {
  await withBase(io, async (base) => {
    const { database, clock } = base;
    const scopes = await scopesOfBase(base, options);
    const scanId = await runIdOf(base, io, { kind: 'scan', resume: options.resume, acceptAltered: false, scopes });
    let unclean = 0;
    await resumably(io, 'scan', scanId, async () => {
      for await (const result of scanScopes(
        { database, clock, signal: io.signal, onProgress: tellingScan(progress) },
        scopes,
        scanId,
      )) {
        if (!result.clean) unclean += 1;
        io.stdout.write(options.json === true ? `${JSON.stringify(jsonOf(result))}\n` : textOf(result));
      }
    });
    if (unclean > 0) {
      throw new CommandFailed(
        `${unclean} key types are not sound (scan ${scanId}); "dict-vsync reconcile --from-rung scan" mends them from DICT`,
      );
    }
  });
}

function jsonOf({ scanId, scope, seq, entries, counts, clean }: ScanResult): object {
  return {
    scan_id: scanId,
    participant: scope.participant,
    key_type: scope.keyType,
    seq,
    rows: entries,
    findings: counts,
    clean,
  };
}

function textOf({ scope, seq, entries, counts, examples, scopeFindings, clean }: ScanResult): string {
  const head = `${scope.participant} ${scope.keyType.padEnd(5)}  seq ${seq}, ${entries} rows`;
  if (clean) return `${head}: sound\n`;
  const found = FINDING_KINDS.filter((kind) => counts[kind] > 0).map((kind) => `${counts[kind]} ${kind}`);
  const keys = examples.map(({ kind, key }) => `  ${kind}  ${maskKey(key, scope.keyType)}  ${meanings[kind]}\n`);
  const sums = scopeFindings.map(({ kind, detail }) => `  ${kind}  ${detail}\n`);
  return `${head}: ${found.join(', ')}\n${keys.join('')}${sums.join('')}`;
}
