/**
 * Generated entries for the demo, the simulator and tests: valid in every field, of nobody. CPFs and CNPJs have right check
 * digits and are drawn from the whole number range, phones and e-mails are made up (the domains are reserved for examples).
 * Everything follows from the seed, so that a run can be repeated.
 */

import { hash } from 'node:crypto';
import { assert } from '../platform/assert.ts';
import type { AccountType, Entry, Owner } from './entry.ts';
import type { KeyType } from './key-type.ts';
import type { Participant } from './participant.ts';

/** An entry, and the RequestId of the request that created it. */
export interface SampleEntry {
  readonly entry: Entry;
  /** UUID, version 4, lower case. */
  readonly requestId: string;
}

export interface SampleOptions {
  readonly seed: number | string;
  readonly participant: Participant;
  readonly keyType: KeyType;
  readonly count: number;
  /** Number of the first entry, for fresh ones beside an earlier call's. Default 0. */
  readonly first?: number;
}

const givenNames = words(
  'Ana Antônio Beatriz Caio Cecília Conceição Débora Estêvão Fátima ' +
    'Gonçalo Helena Inês João José Júlia Lúcia Luís Márcio Mônica Natália Otávio Patrícia Rafael Sebastião',
);

const familyNames = words(
  "Almeida Araújo Assunção Brandão Conceição D'Ávila Esteves Falcão Gonçalves Guimarães Lemos " +
    'Magalhães Mourão Nóbrega Oliveira Queirós Sá-Ferreira Simões Souza Tavares Vilaça Zanetti',
);

const companyForms = ['Ltda', 'S.A.', 'ME', 'EIRELI', '& Filhos Ltda', '& Cia'] as const;
const trades = ['Padaria', 'Farmácia', 'Oficina', 'Livraria', 'Café & Pão', 'Construções', 'Açougue', 'Papelaria'] as const;
const emailDomains = ['example.com', 'example.org', 'mail.example', 'correio.example'] as const;
const accountTypes: readonly AccountType[] = ['CACC', 'CACC', 'CACC', 'SVGS', 'TRAN', 'SLRY'];
const areaCodes = [
  11, 12, 13, 19, 21, 22, 24, 27, 31, 34, 41, 43, 47, 48, 51, 54, 61, 62, 65, 67, 71, 75, 81, 85, 91, 92,
] as const;

/** A prime that divides none of the ranges below: stepping by it walks each range without meeting a number twice. */
const stride = 7_368_787;
const countMax = 10_000_000;
/** How many CPFs there are. */
const cpfs = 999_999_990;

/**
 * That many entries of one participant and key type, no key twice. With other numbers (`first`) the keys are others. Throws
 * `InvariantBroken` beyond ten million.
 */
export function* sampleEntries(options: SampleOptions): Generator<SampleEntry, void, undefined> {
  const { participant, keyType, seed } = options;
  const first = options.first ?? 0;
  assert(first + options.count <= countMax, `at most ${countMax} sample entries of one kind`);
  const offset = draw(`${seed}/${participant}/${keyType}`).number(0);
  for (let index = first; index < first + options.count; index++) {
    const chance = draw(`${seed}/${participant}/${keyType}/${index}`);
    yield sampleEntry(participant, keyType, chance, (range) => (offset + ((index * stride) % range)) % range);
  }
}

/** Numbers out of one text: 16 of 32 bits, always the same. */
interface Chance {
  number(at: number): number;
  pick<T>(at: number, list: readonly T[]): T;
  /** UUID, version 4, of the four numbers from `at`. */
  uuid(at: number): string;
}

function draw(text: string): Chance {
  const bytes = Buffer.from(hash('sha512', text, 'hex'), 'hex');
  const number = (at: number): number => bytes.readUInt32LE(at * 4);
  return {
    number,
    pick(at, list) {
      const item = list[number(at) % list.length];
      assert(item !== undefined, 'a list to pick from is never empty');
      return item;
    },
    uuid(at) {
      const hex = bytes.toString('hex', at * 4, at * 4 + 16);
      const variant = '89ab'[Number.parseInt(hex.charAt(16), 16) % 4] ?? '8';
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
    },
  };
}

/** `unique(range)`: a number below `range` that no other entry of this kind gets. */
function sampleEntry(participant: Participant, keyType: KeyType, chance: Chance, unique: (range: number) => number): SampleEntry {
  const isLegal = keyType === 'CNPJ' || (keyType !== 'CPF' && chance.number(0) % 5 === 0);
  const person = `${chance.pick(1, givenNames)} ${chance.pick(2, familyNames)}`;
  const owner: Owner = isLegal ? company(chance, unique) : natural(person, chance, keyType === 'CPF' ? unique : undefined);
  const day = new Date(Date.UTC(2005, 0, 1) + (chance.number(6) % 7_300) * 86_400_000);
  return {
    entry: {
      key: sampleKey(keyType, owner, chance, unique),
      keyType,
      account: {
        participant,
        branch: chance.number(7) % 8 === 0 ? null : String((chance.number(7) % 9_999) + 1).padStart(4, '0'),
        accountNumber: String(chance.number(8) % 100_000_000).padStart(10, '0'),
        accountType: chance.pick(9, accountTypes),
        openingDate: new Date(day.getTime() + 3 * 3_600_000).toISOString(),
      },
      owner,
    },
    requestId: chance.uuid(12),
  };
}

function natural(name: string, chance: Chance, unique: ((range: number) => number) | undefined): Owner {
  const index = unique === undefined ? chance.number(3) % cpfs : unique(cpfs);
  return { type: 'NATURAL_PERSON', taxIdNumber: cpf(index), name, tradeName: null };
}

function company(chance: Chance, unique: (range: number) => number): Owner {
  const family = chance.pick(2, familyNames);
  const trade = chance.pick(4, trades);
  return {
    type: 'LEGAL_PERSON',
    taxIdNumber: cnpj(unique(100_000_000)),
    name: `${trade} ${family} ${chance.pick(5, companyForms)}`,
    tradeName: chance.number(5) % 3 === 0 ? null : `${trade} ${chance.pick(1, givenNames)}`,
  };
}

function sampleKey(keyType: KeyType, owner: Owner, chance: Chance, unique: (range: number) => number): string {
  switch (keyType) {
    case 'CPF':
    case 'CNPJ':
      return owner.taxIdNumber;
    case 'PHONE': {
      const number = unique(areaCodes.length * 100_000_000);
      const area = areaCodes[Math.floor(number / 100_000_000)] ?? areaCodes[0];
      return `+55${area}9${String(number % 100_000_000).padStart(8, '0')}`;
    }
    case 'EMAIL': {
      const name = plain(`${chance.pick(1, givenNames)}.${chance.pick(2, familyNames)}`);
      return `${name}${unique(100_000_000)}@${chance.pick(10, emailDomains)}`;
    }
    case 'EVP':
      return draw(`evp/${chance.uuid(12)}`).uuid(0);
  }
}

function words(text: string): readonly string[] {
  return text.split(' ');
}

/** Lower case, without accents and signs: the local part of an e-mail. */
function plain(name: string): string {
  return name
    .normalize('NFD')
    .replace(/[^A-Za-z.]/g, '')
    .toLowerCase();
}

/** CPF number `index`: nine digits and two check digits. Numbers of nine equal digits are no CPFs and are stepped over. */
function cpf(index: number): string {
  const digits = String(index + Math.floor(index / 111_111_110) + 1).padStart(9, '0');
  const first = checkDigit(digits, 11);
  return `${digits}${first}${checkDigit(`${digits}${first}`, 11)}`;
}

/** CNPJ of the head office (branch 0001) of an eight-digit root. */
function cnpj(root: number): string {
  const digits = `${String(root).padStart(8, '0')}0001`;
  const first = checkDigit(digits, 9);
  return `${digits}${first}${checkDigit(`${digits}${first}`, 9)}`;
}

/** Modulo 11 with weights 2, 3, … from the right, beginning again at 2 after `weightMax`. */
function checkDigit(digits: string, weightMax: number): number {
  let sum = 0;
  for (let fromRight = 0; fromRight < digits.length; fromRight++) {
    sum += Number(digits.charAt(digits.length - 1 - fromRight)) * (2 + (fromRight % (weightMax - 1)));
  }
  const rest = sum % 11;
  return rest < 2 ? 0 : 11 - rest;
}
