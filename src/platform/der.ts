/**
 * DER, as much as certificates need: values read one by one, and written. Only definite lengths and tags of one byte, which is
 * all that X.509 has. node:crypto shows a certificate's names and serial only as texts of its own, and cannot issue one.
 */

/** The tags that certificates use. */
export const DER_TAGS = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  generalString: 0x1b,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One value: tag, contents, and all its bytes. */
export interface DerValue {
  readonly tag: number;
  readonly contents: Uint8Array;
  readonly raw: Uint8Array;
}

/** The bytes are not the DER that was expected. */
export class DerInvalid extends Error {
  override readonly name = 'DerInvalid';
}

/**
 * The values that follow each other in these bytes.
 *
 * @throws DerInvalid when they do not fill the bytes exactly.
 */
export function derValues(bytes: Uint8Array): readonly DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length; ) {
    const value = derValueAt(bytes, at);
    values.push(value);
    at += value.raw.length;
  }
  return values;
}

function derValueAt(bytes: Uint8Array, at: number): DerValue {
  const tag = bytes[at] ?? 0;
  if ((tag & 0x1f) === 0x1f) throw new DerInvalid('DER: a tag of several bytes');
  const first = bytes[at + 1];
  if (first === undefined) throw new DerInvalid('DER: a length is missing');
  let length = first;
  let start = at + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new DerInvalid('DER: an indefinite or enormous length');
    length = 0;
    for (let index = 0; index < count; index += 1) length = length * 256 + (bytes[start + index] ?? 0);
    start += count;
  }
  const end = start + length;
  if (end > bytes.length) throw new DerInvalid('DER: a value ends beyond its bytes');
  return { tag, contents: bytes.subarray(start, end), raw: bytes.subarray(at, end) };
}

/** The value of an INTEGER, however long. */
export function derNumber(value: DerValue): bigint {
  if (value.tag !== DER_TAGS.integer || value.contents.length === 0) throw new DerInvalid('DER: an INTEGER was expected');
  const bits = value.contents.length * 8;
  return BigInt.asIntN(bits, BigInt(`0x${Buffer.from(value.contents).toString('hex')}`));
}

/** An OBJECT IDENTIFIER in dotted form. */
export function derOidText(value: DerValue): string {
  if (value.tag !== DER_TAGS.oid || value.contents.length === 0) throw new DerInvalid('DER: an OBJECT IDENTIFIER was expected');
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const byte of value.contents) {
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    if (byte >= 0x80) continue;
    if (arcs.length === 0) {
      const top = [0n, 1n].find((number) => arc < (number + 1n) * 40n) ?? 2n;
      arcs.push(top, arc - top * 40n);
    } else arcs.push(arc);
    arc = 0n;
  }
  return arcs.join('.');
}

/** A value of this tag, with these contents one after the other. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = evenHex(body.length.toString(16));
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

function evenHex(digits: string): Buffer {
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
}

/** An INTEGER that is not negative. */
export function derInteger(value: bigint): Buffer {
  const bytes = evenHex(value.toString(16));
  return der(DER_TAGS.integer, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
}

/** An OBJECT IDENTIFIER from its dotted form. */
export function derOid(text: string): Buffer {
  const [top = 0n, second = 0n, ...rest] = text.split('.').map(BigInt);
  const bytes = [top * 40n + second, ...rest].flatMap((arc) => {
    const septets = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) septets.unshift(Number(left & 0x7fn) | 0x80);
    return septets;
  });
  return der(DER_TAGS.oid, Buffer.from(bytes));
}
