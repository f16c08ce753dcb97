/** The RequestId of an entry's creation: a UUID, whose 16 bytes are the HMAC key under `dict`. */

const form = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;

/** The same UUID as 32 hex digits without hyphens. Throws `TypeError` for anything that is not one. */
export function requestIdDigits(requestId: string): string {
  if (!form.test(requestId)) throw new TypeError(`request_id: "${requestId.slice(0, 80)}" is not a UUID (8-4-4-4-12 hex digits)`);
  return requestId.slice(0, 8) + requestId.slice(9, 13) + requestId.slice(14, 18) + requestId.slice(19, 23) + requestId.slice(24);
}
