/**
 * Whether a file can be of this participant and key type at all (rule R14). Length and digest only prove that it is the file that
 * DICT meant to send; a foreign or halved one would make orphans of everything.
 */

import { cidFromHex } from '../cid/cid.ts';
import { type ByCidAnswer, lookUp } from './by-cid.ts';
import { FileRefused } from './cid-set-file.ts';
import type { OpenRun } from './claiming.ts';
import type { SetDifference } from './file-comparison.ts';
import type { ReconcileDeps } from './reconciliation.ts';

/** By-CID reads that an unknown file is tried with. */
const samples = 10;

export interface FilePicture extends SetDifference {
  /** Keys of ours at the seq compared with, and lines of the file. */
  readonly keys: number;
  readonly lines: number;
  /** Whether DICT's log passes through the file's XOR: then it is DICT's set of this participant beyond doubt. */
  readonly proven: boolean;
}

/** Throws `FileRefused` where the file cannot be right. */
export async function refuseImplausible(deps: ReconcileDeps, run: OpenRun, picture: FilePicture): Promise<void> {
  // Each CID of DICT's can be the other half of one of ours at most: what is left over would be orphans.
  refuseOrphans(deps, picture.local.size - picture.dict.size, picture.keys);
  if (picture.proven || !isMuch(deps, picture.dict.size, picture.lines)) return;
  const tried = [...picture.dict].filter((_, index) => index % Math.ceil(picture.dict.size / samples) === 0);
  const answers = await lookUp(deps, run, tried.map(cidFromHex));
  if (answers.some(isHere)) return;
  // A DICT that does not answer has not said that it lacks them.
  const unanswered = answers.find((answer) => answer.kind === 'failed');
  if (unanswered !== undefined) {
    const much = `${picture.dict.size} of ${picture.lines} lines are unknown here`;
    throw new FileRefused('unconfirmed', `${much}, and DICT confirmed none of the ${tried.length} tried (${unanswered.reason})`);
  }
  throw new FileRefused(
    'foreign',
    `${picture.dict.size} of ${picture.lines} lines are unknown here, and DICT has none of the ${tried.length} tried under ${run.participant} ${run.keyType}`,
  );
}

/** Throws `FileRefused` where that many orphans are more than a file may bring. */
export function refuseOrphans(deps: ReconcileDeps, orphans: number, keys: number): void {
  if (!isMuch(deps, orphans, keys)) return;
  throw new FileRefused('implausible', `${orphans} of ${keys} keys would be orphans`);
}

function isMuch({ settings }: ReconcileDeps, count: number, of: number): boolean {
  return count > settings.implausibleOrphans && count > of * settings.implausibleOrphanShare;
}

function isHere(answer: ByCidAnswer): boolean {
  return answer.kind === 'answered' && answer.answer.found;
}
