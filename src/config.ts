/**
 * The configuration: parsed once, frozen, and refused as a whole with every complaint at once. Stages never see it; the composition
 * root hands each the few settings it needs. The options themselves are config/option-table.ts.
 */

import * as path from 'node:path';
import { NotAllowed } from './config/option-kind.ts';
import { readSources, type Surroundings } from './config/option-source.ts';
import { type Config, type NamedOption, namedOptions } from './config/option-table.ts';

export type { Config } from './config/option-table.ts';

/** The configuration is wrong: one line for each complaint, naming the option, what was given and what is allowed. */
export class ConfigRefused extends Error {
  override readonly name = 'ConfigRefused';

  constructor(complaints: readonly string[]) {
    super(`the configuration is wrong:\n${complaints.map((complaint) => `  ${complaint}`).join('\n')}`);
  }
}

/** One option as it stands: for showing, so a secret's value is left out. */
export interface OptionInForce {
  readonly option: NamedOption;
  /** Null: not set. A secret that is set shows as `(secret)`. */
  readonly shown: string | null;
  /** `default`, `environment`, `.env`, or a file's name. */
  readonly source: string;
}

interface Reading {
  readonly config: Config;
  readonly inForce: readonly OptionInForce[];
}

function read(surroundings: Surroundings): Reading {
  const sources = readSources(surroundings);
  const complaints = [...sources.complaints];
  const groups: Record<string, Record<string, unknown>> = {};
  const inForce: OptionInForce[] = [];
  for (const named of namedOptions) {
    const { option, group, property, env, name } = named;
    const given = sources.find(named);
    const text = given?.text ?? option.defaultText;
    const shown = option.secret && text !== null ? '(secret)' : text;
    const source = given?.source ?? 'default';
    inForce.push({ option: named, shown, source });
    groups[group] ??= {};
    try {
      groups[group][property] = text === null ? null : option.kind.read(text);
    } catch (cause) {
      if (!(cause instanceof NotAllowed)) throw cause;
      const wrong = option.secret ? 'the value (secret, not shown)' : `"${text}"`;
      const detail = cause.message === '' ? '' : ` (${cause.message})`;
      complaints.push(`${env} (${name}, from ${source}): ${wrong} is not allowed${detail}. Allowed: ${option.kind.allowed}`);
    }
  }
  if (complaints.length > 0) throw new ConfigRefused(complaints);
  // Built from the very table that the type is made from, one property for each of its options.
  const config = groups as unknown as Config;
  const contradictions = contradictionsOf(config);
  if (contradictions.length > 0) throw new ConfigRefused(contradictions);
  return { config: freeze(config, surroundings.cwd), inForce };
}

/** Options that are right by themselves and wrong together. */
function contradictionsOf({ database, verification, reconciliation, sync, dict, bridge, redis }: Config): readonly string[] {
  const found: string[] = [];
  if (database.poolMin > database.poolMax) {
    found.push(`DICT_VSYNC_DATABASE_POOL_MIN (${database.poolMin}) is above DICT_VSYNC_DATABASE_POOL_MAX (${database.poolMax})`);
  }
  if (verification.warningAgeMs >= verification.criticalAgeMs) {
    found.push('DICT_VSYNC_VERIFICATION_WARNING_AGE must be below DICT_VSYNC_VERIFICATION_CRITICAL_AGE');
  }
  if (verification.everyMs > verification.warningAgeMs) {
    found.push('DICT_VSYNC_VERIFICATION_EVERY must not exceed DICT_VSYNC_VERIFICATION_WARNING_AGE: every run would warn');
  }
  if (verification.firstPollMs > verification.longestPollMs) {
    found.push('DICT_VSYNC_VERIFICATION_FIRST_POLL must not exceed DICT_VSYNC_VERIFICATION_LONGEST_POLL');
  }
  if (reconciliation.criticalThreshold < reconciliation.approvalThreshold) {
    found.push(
      'DICT_VSYNC_RECONCILIATION_CRITICAL_THRESHOLD is below DICT_VSYNC_RECONCILIATION_APPROVAL_THRESHOLD: a critical run would need no approval',
    );
  }
  if (sync.dailyAt !== null && dict.listingUrl === null && bridge.url === null) {
    found.push('DICT_VSYNC_SYNC_DAILY_AT is set, and there is no listing to read: set DICT_LISTING_URL or DICT_VSYNC_BRIDGE_URL');
  }
  if ((dict.signingKey === null) !== (dict.signingCertificate === null)) {
    found.push('DICT_VSYNC_DICT_SIGNING_KEY and DICT_VSYNC_DICT_SIGNING_CERTIFICATE go together: one of them is not set');
  }
  if (dict.signingKeyPassphrase !== null && dict.signingKey === null) {
    found.push('DICT_VSYNC_DICT_SIGNING_KEY_PASSPHRASE is set without DICT_VSYNC_DICT_SIGNING_KEY');
  }
  return [...found, ...tlsContradictionsOf(dict), ...bridgeContradictionsOf(bridge), ...redisContradictionsOf(redis)];
}

function tlsContradictionsOf(dict: Config['dict']): readonly string[] {
  const { tlsCertificate, tlsKey, tlsPkcs12, tlsPassphrase, tlsAuthority } = dict;
  const found: string[] = [];
  if (tlsPkcs12 !== null && (tlsCertificate !== null || tlsKey !== null)) {
    found.push(
      'DICT_VSYNC_DICT_TLS_PKCS12 is set beside DICT_VSYNC_DICT_TLS_CERTIFICATE or DICT_VSYNC_DICT_TLS_KEY: give either the one or the two',
    );
  } else if ((tlsCertificate === null) !== (tlsKey === null)) {
    found.push('DICT_VSYNC_DICT_TLS_CERTIFICATE and DICT_VSYNC_DICT_TLS_KEY go together: one of them is not set');
  }
  if (tlsPassphrase !== null && tlsKey === null && tlsPkcs12 === null) {
    found.push('DICT_VSYNC_DICT_TLS_PASSPHRASE is set without DICT_VSYNC_DICT_TLS_KEY or DICT_VSYNC_DICT_TLS_PKCS12');
  }
  const someTls = [tlsCertificate, tlsKey, tlsPkcs12, tlsAuthority].some((place) => place !== null);
  if (someTls && dict.url !== null && URL.parse(dict.url)?.protocol === 'http:') {
    found.push(
      'DICT_URL begins with http:// and options DICT_VSYNC_DICT_TLS_… are set, which only https:// uses: change the one or the others',
    );
  }
  return found;
}

function bridgeContradictionsOf({
  url,
  tlsCertificate,
  tlsKey,
  tlsKeyPassphrase,
  tlsAuthority,
}: Config['bridge']): readonly string[] {
  const found: string[] = [];
  if ((tlsKey === null) !== (tlsCertificate === null)) {
    found.push('DICT_VSYNC_BRIDGE_TLS_KEY and DICT_VSYNC_BRIDGE_TLS_CERTIFICATE go together: one of them is not set');
  }
  if (tlsKeyPassphrase !== null && tlsKey === null) {
    found.push('DICT_VSYNC_BRIDGE_TLS_KEY_PASSPHRASE is set without DICT_VSYNC_BRIDGE_TLS_KEY');
  }
  if (url?.startsWith('grpc:') && (tlsCertificate !== null || tlsAuthority !== null)) {
    found.push(
      'DICT_VSYNC_BRIDGE_URL begins with grpc://, which is in clear, although DICT_VSYNC_BRIDGE_TLS_… is set: grpcs:// uses it',
    );
  }
  return found;
}

function redisContradictionsOf({ url, user, password, authorities }: Config['redis']): readonly string[] {
  if (url !== null || (user === null && password === null && authorities === null)) return [];
  return ['DICT_VSYNC_REDIS_USER, DICT_VSYNC_REDIS_PASSWORD or DICT_VSYNC_REDIS_AUTHORITIES is set without DICT_VSYNC_REDIS_URL'];
}

function freeze(config: Config, cwd: string): Config {
  const resolved = (file: string): string => path.resolve(cwd, file);
  const resolvedOrNull = (file: string | null): string | null => (file === null ? null : resolved(file));
  const { program, dict, bridge, redis, simulator } = config;
  const frozen: Config = {
    ...config,
    program: { ...program, dataDir: resolved(program.dataDir) },
    dict: {
      ...dict,
      signingKey: resolvedOrNull(dict.signingKey),
      signingCertificate: resolvedOrNull(dict.signingCertificate),
      trustStore: resolvedOrNull(dict.trustStore),
      tlsCertificate: resolvedOrNull(dict.tlsCertificate),
      tlsKey: resolvedOrNull(dict.tlsKey),
      tlsPkcs12: resolvedOrNull(dict.tlsPkcs12),
      tlsAuthority: resolvedOrNull(dict.tlsAuthority),
    },
    bridge: {
      ...bridge,
      tlsCertificate: resolvedOrNull(bridge.tlsCertificate),
      tlsKey: resolvedOrNull(bridge.tlsKey),
      tlsAuthority: resolvedOrNull(bridge.tlsAuthority),
    },
    redis: { ...redis, authorities: resolvedOrNull(redis.authorities) },
    simulator: { ...simulator, pkiDir: resolvedOrNull(simulator.pkiDir) },
  };
  for (const group of Object.values(frozen)) Object.freeze(group);
  return Object.freeze(frozen);
}

/** Parses the configuration. Throws `ConfigRefused` with everything that is wrong with it. */
export function loadConfig(surroundings: Surroundings): Config {
  return read(surroundings).config;
}

/** Every option with its value and source, secrets left out. Throws `ConfigRefused` like `loadConfig`. */
export function optionsInForce(surroundings: Surroundings): readonly OptionInForce[] {
  return read(surroundings).inForce;
}
