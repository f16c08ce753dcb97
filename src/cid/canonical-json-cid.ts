/**
 * Algorithm `canonical-json-1.0`: SHA-256 of a canonical JSON text with normalised values, as an earlier design of this system
 * had it. Kept for bases whose CIDs were made by it; DICT knows nothing of it, so it serves integrity checks only. Normalised
 * values exist inside this hash alone and are never stored.
 *
 * Two differences to the original, which change no CID that the original could make of canonical input: a date that is absent is
 * left out (the original failed), and the RequestId is hashed in its canonical lower-case form, which is how the base keeps it.
 */

import { hash } from 'node:crypto';
import type { CidEntry } from './cid-entry.ts';
import { requestIdDigits } from './request-id.ts';

const algorithmVersion = '1.0';

const legalNature: Readonly<Record<string, string>> = { NATURAL_PERSON: 'PF', LEGAL_PERSON: 'PJ' };

/** 32 bytes. Throws `TypeError` for an unknown key type, a date that is none, or a RequestId that is no UUID. */
export function canonicalJsonCid(entry: CidEntry, requestId: string): Buffer {
  return Buffer.from(hash('sha256', canonicalJson(entry, requestId), 'binary'), 'latin1');
}

/** The text that is hashed: names in alphabetical order, absent values left out, no spaces. */
export function canonicalJson(entry: CidEntry, requestId: string): string {
  const { account, owner } = entry;
  // JSON.stringify writes properties in this order and leaves undefined ones out: the order here is the canonical one.
  return JSON.stringify({
    chave: normalizedKey(entry.key, entry.keyType),
    cpfCnpj: owner.taxIdNumber.replace(/\D/g, ''),
    dataAberturaConta: isoTime('account_opened_at', account.openingDate),
    dataRegistro: isoTime('registered_at', entry.registeredAt),
    dataRegistroParticipante: isoTime('participant_registered_at', entry.participantRegisteredAt),
    ispbParticipante: account.participant.padStart(8, '0'),
    naturezaJuridica: owner.type == null ? undefined : (legalNature[owner.type] ?? owner.type),
    nome: owner.name.trim().toUpperCase(),
    nomeFantasia: owner.tradeName?.trim().toUpperCase(),
    numeroAgencia: account.branch ?? undefined,
    numeroConta: account.accountNumber,
    requestId: canonicalUuid(requestId),
    tipoChave: entry.keyType,
    tipoConta: account.accountType,
    versao: algorithmVersion,
  });
}

function normalizedKey(key: string, keyType: string): string {
  switch (keyType) {
    case 'CPF':
      return key.replace(/\D/g, '').padStart(11, '0');
    case 'CNPJ':
      return key.replace(/\D/g, '').padStart(14, '0');
    case 'PHONE':
      return key.replace(/\D/g, '').replace(/^55/, '+55');
    case 'EMAIL':
      return key.toLowerCase().trim();
    case 'EVP':
      return key.toLowerCase().replace(/-/g, '');
    default:
      throw new TypeError(
        `key_type: "${keyType.slice(0, 80)}" is unknown to canonical-json-1.0 (CPF, CNPJ, PHONE, EMAIL or EVP)`,
      );
  }
}

function isoTime(field: string, text: string | null | undefined): string | undefined {
  if (text == null) return undefined;
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) {
    throw new TypeError(`${field}: "${text.slice(0, 80)}" is not a date and time (ISO 8601, such as 2020-11-16T00:00:00.000Z)`);
  }
  return time.toISOString();
}

function canonicalUuid(requestId: string): string {
  requestIdDigits(requestId);
  return requestId.toLowerCase();
}
