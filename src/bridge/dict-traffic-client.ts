/**
 * Operations that change DICT's entries, for whoever plays the participant's own channels: the demo and the tests. Apart from the
 * client of the stages, so that none of them can write (rule R19).
 */

import type { CallOptions, Stamp } from '../dict/api.ts';
import type { Account, Entry, ExtendedEntry, Owner } from '../dict/entry.ts';
import type { Participant } from '../dict/participant.ts';
import { element } from '../platform/xml.ts';
import { type Fields, sameAs, section, stamp, token, verbatim } from './answer-fields.ts';
import { type Caller, createCaller, type DictClientOptions, type Operation, requestingParticipant } from './dict-call.ts';
import { readEntry, writeAccount, writeEntry, writeOwner } from './entry-xml.ts';

export type EntryReason =
  | 'USER_REQUESTED'
  | 'ACCOUNT_CLOSURE'
  | 'BRANCH_TRANSFER'
  | 'RECONCILIATION'
  | 'FRAUD'
  | 'RFB_VALIDATION';
export type ClaimReason =
  | 'USER_REQUESTED'
  | 'ACCOUNT_CLOSURE'
  | 'FRAUD'
  | 'DEFAULT_OPERATION'
  | 'RECONCILIATION'
  | 'RFB_VALIDATION';

export interface EntryAnswer extends Stamp {
  readonly entry: ExtendedEntry;
}

export interface ClaimAnswer extends Stamp {
  /** Status of the claim after the operation, as DICT names it. */
  readonly status: string;
  readonly key: string;
}

export interface DictTrafficApi {
  /**
   * POST /entries/ by the account's participant. Repeatable: the same RequestId creates one entry. The key of an EVP is not sent
   * but made by DICT: the answer has it.
   */
  createEntry(
    request: { readonly entry: Entry; readonly requestId: string; readonly reason: EntryReason },
    options?: CallOptions,
  ): Promise<EntryAnswer>;
  /** PUT /entries/{Key} */
  updateEntry(
    request: { readonly key: string; readonly account: Account; readonly owner: Owner; readonly reason: EntryReason },
    options?: CallOptions,
  ): Promise<EntryAnswer>;
  /** POST /entries/{Key}/delete */
  deleteEntry(
    request: { readonly participant: Participant; readonly key: string; readonly reason: EntryReason },
    options?: CallOptions,
  ): Promise<Stamp>;
  /** GET /entries/{Key} for a payment of `payerId` (CPF or CNPJ). */
  getEntry(
    request: { readonly participant: Participant; readonly key: string; readonly payerId: string; readonly endToEndId: string },
    options?: CallOptions,
  ): Promise<EntryAnswer>;
  /** POST /claims/{ClaimId}/confirm by the donor, whose entry goes. */
  confirmClaim(
    request: { readonly participant: Participant; readonly claimId: string; readonly reason: ClaimReason },
    options?: CallOptions,
  ): Promise<ClaimAnswer>;
  /** POST /claims/{ClaimId}/complete by the claimer, whose entry comes. Repeatable, as createEntry. */
  completeClaim(
    request: { readonly participant: Participant; readonly claimId: string; readonly requestId: string },
    options?: CallOptions,
  ): Promise<ClaimAnswer>;
}

const operations = {
  createEntry: { name: 'createEntry', method: 'POST', policy: 'ENTRIES_WRITE', repeatable: true, answer: 'CreateEntryResponse' },
  // Repeated, it would leave two more events in the log.
  updateEntry: { name: 'updateEntry', method: 'PUT', policy: 'ENTRIES_UPDATE', repeatable: false, answer: 'UpdateEntryResponse' },
  // Repeated, it would be refused as not found.
  deleteEntry: { name: 'deleteEntry', method: 'POST', policy: 'ENTRIES_WRITE', repeatable: false, answer: 'DeleteEntryResponse' },
  // Its limits depend on the participant's category and on the payer.
  getEntry: { name: 'getEntry', method: 'GET', policy: null, repeatable: true, answer: 'GetEntryResponse' },
  confirmClaim: {
    name: 'confirmClaim',
    method: 'POST',
    policy: 'CLAIMS_WRITE',
    repeatable: false,
    answer: 'ConfirmClaimResponse',
  },
  completeClaim: {
    name: 'completeClaim',
    method: 'POST',
    policy: 'CLAIMS_WRITE',
    repeatable: true,
    answer: 'CompleteClaimResponse',
  },
} as const satisfies Readonly<Record<string, Operation>>;

type Request<Name extends keyof DictTrafficApi> = Parameters<DictTrafficApi[Name]>[0];

/** A client for making traffic; `close` breaks off what is under way. */
export function createDictTrafficClient(options: DictClientOptions): DictTrafficApi & { close(): Promise<void> } {
  const caller = createCaller(options);
  return {
    createEntry: (request, callOptions) => createEntry(caller, request, callOptions),
    updateEntry: (request, callOptions) => updateEntry(caller, request, callOptions),
    deleteEntry: (request, callOptions) => deleteEntry(caller, request, callOptions),
    getEntry: (request, callOptions) => getEntry(caller, request, callOptions),
    confirmClaim: (request, callOptions) => confirmClaim(caller, request, callOptions),
    completeClaim: (request, callOptions) => completeClaim(caller, request, callOptions),
    close: () => caller.close(),
  };
}

function createEntry(caller: Caller, request: Request<'createEntry'>, options?: CallOptions): Promise<EntryAnswer> {
  const { entry, requestId, reason } = request;
  const body = element('CreateEntryRequest', [writeEntry(entry), element('Reason', reason), element('RequestId', requestId)]);
  return caller.call(
    operations.createEntry,
    { participant: entry.account.participant, path: 'entries/', body },
    readEntryAnswer,
    options,
  );
}

function updateEntry(caller: Caller, request: Request<'updateEntry'>, options?: CallOptions): Promise<EntryAnswer> {
  const { key, account, owner, reason } = request;
  const body = element('UpdateEntryRequest', [
    element('Key', key),
    writeAccount(account),
    writeOwner(owner),
    element('Reason', reason),
  ]);
  return caller.call(
    operations.updateEntry,
    { participant: account.participant, path: entryPath(key), body },
    readEntryAnswer,
    options,
  );
}

function deleteEntry(caller: Caller, request: Request<'deleteEntry'>, options?: CallOptions): Promise<Stamp> {
  const { participant, key, reason } = request;
  const body = element('DeleteEntryRequest', [
    element('Key', key),
    element('Participant', participant),
    element('Reason', reason),
  ]);
  const read = (answer: Fields): Stamp => {
    sameAs(answer, 'Key', verbatim(answer, 'Key'), key);
    return stamp(answer);
  };
  return caller.call(operations.deleteEntry, { participant, path: `${entryPath(key)}/delete`, body }, read, options);
}

function getEntry(caller: Caller, request: Request<'getEntry'>, options?: CallOptions): Promise<EntryAnswer> {
  const { participant, key, payerId, endToEndId } = request;
  const headers = { ...requestingParticipant(participant), 'pi-payerid': payerId, 'pi-endtoendid': endToEndId };
  return caller.call(operations.getEntry, { participant, path: entryPath(key), headers }, readEntryAnswer, options);
}

function confirmClaim(caller: Caller, request: Request<'confirmClaim'>, options?: CallOptions): Promise<ClaimAnswer> {
  const { participant, claimId, reason } = request;
  const body = element('ConfirmClaimRequest', [
    element('ClaimId', claimId),
    element('Participant', participant),
    element('Reason', reason),
  ]);
  return caller.call(
    operations.confirmClaim,
    { participant, path: claimPath(claimId, 'confirm'), body },
    readClaimAnswer,
    options,
  );
}

function completeClaim(caller: Caller, request: Request<'completeClaim'>, options?: CallOptions): Promise<ClaimAnswer> {
  const { participant, claimId, requestId } = request;
  const body = element('CompleteClaimRequest', [
    element('ClaimId', claimId),
    element('Participant', participant),
    element('RequestId', requestId),
  ]);
  return caller.call(
    operations.completeClaim,
    { participant, path: claimPath(claimId, 'complete'), body },
    readClaimAnswer,
    options,
  );
}

function entryPath(key: string): string {
  return `entries/${encodeURIComponent(key)}`;
}

function claimPath(claimId: string, step: string): string {
  return `claims/${encodeURIComponent(claimId)}/${step}`;
}

function readEntryAnswer(answer: Fields): EntryAnswer {
  return { ...stamp(answer), entry: readEntry(answer) };
}

function readClaimAnswer(answer: Fields): ClaimAnswer {
  const claim = section(answer, 'Claim');
  return { ...stamp(answer), status: token(claim, 'Status'), key: verbatim(claim, 'Key') };
}
