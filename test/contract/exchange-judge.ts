/** A recorded exchange against the contract: method, path, parameters, headers, bodies, both ways. */

import type { Exchange } from '../support/recording-proxy.ts';
import type { Contract, LocatedOperation } from './openapi.ts';

export interface Judgement {
  /** Null when the contract has no such operation. */
  readonly operation: string | null;
  readonly findings: readonly string[];
}

const BASE = '/api/v2';
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

export function judge(contract: Contract, exchange: Exchange): Judgement {
  const url = new URL(exchange.path, 'http://host');
  const located = contract.locate(exchange.method, url.pathname.slice(BASE.length));
  if (!url.pathname.startsWith(`${BASE}/`) || located === null) {
    return { operation: null, findings: [`${exchange.method} ${exchange.path} is not in the contract`] };
  }
  const findings = [
    ...parameterFindings(contract, located, exchange, url.searchParams),
    ...requestFindings(contract, located, exchange),
    ...answerFindings(contract, located, exchange),
  ];
  return { operation: located.id, findings: findings.map((finding) => `${located.id}: ${finding}`) };
}

function parameterFindings(
  contract: Contract,
  located: LocatedOperation,
  exchange: Exchange,
  query: URLSearchParams,
): readonly string[] {
  const findings: string[] = [];
  const declared = new Set<string>();
  for (const parameter of located.parameters) {
    if (parameter.in === 'query') declared.add(parameter.name);
    const header = exchange.requestHeaders[parameter.name.toLowerCase()];
    const sources = {
      // The contract's own path and parameter disagree about the case of `policy`.
      path: located.pathValues[parameter.name] ?? located.pathValues[parameter.name.toLowerCase()] ?? null,
      query: query.get(parameter.name),
      header: typeof header === 'string' ? header : null,
    };
    const text = sources[parameter.in];
    if (text !== null) findings.push(...contract.parameterFindings(parameter, text));
    else if (parameter.required === true) findings.push(`the ${parameter.in} parameter ${parameter.name} is missing`);
  }
  for (const name of query.keys()) if (!declared.has(name)) findings.push(`the query parameter ${name} is not in the contract`);
  return findings;
}

function requestFindings(contract: Contract, located: LocatedOperation, exchange: Exchange): readonly string[] {
  const schema = contract.requestSchema(located.operation);
  const { requestHeaders: headers, requestBody: body } = exchange;
  if (schema === null) return body.length === 0 ? [] : ['a body where the contract has none'];
  const findings: string[] = [];
  // The manual's wording, which goes beyond the media type of the OpenAPI document.
  if (headers['content-type'] !== 'application/xml; charset=UTF-8') findings.push(`content type ${headers['content-type']}`);
  if (headers['content-encoding'] !== undefined) findings.push('a compressed request');
  return [...findings, ...bodyFindings(contract, schema, body)];
}

function answerFindings(contract: Contract, located: LocatedOperation, exchange: Exchange): readonly string[] {
  const { status } = exchange;
  // Any error can come where it is not declared; it is then a problem document all the same.
  const undeclared = status >= 400 ? { mediaType: 'application/problem+xml', schema: 'Problem' } : null;
  const expected = contract.responseSchema(located.operation, status) ?? undeclared;
  if (expected === null) return [`status ${status} is not in the contract`];
  const findings: string[] = [];
  const mediaType = exchange.responseHeaders['content-type']?.split(';')[0];
  if (mediaType !== expected.mediaType) findings.push(`${status} with media type ${mediaType}, not ${expected.mediaType}`);
  return [
    ...findings,
    ...bodyFindings(contract, expected.schema, exchange.responseBody).map((finding) => `${status}: ${finding}`),
  ];
}

function bodyFindings(contract: Contract, schema: string, body: Uint8Array): readonly string[] {
  try {
    return contract.findings(schema, strictUtf8.decode(body));
  } catch {
    return ['the body is not UTF-8'];
  }
}
