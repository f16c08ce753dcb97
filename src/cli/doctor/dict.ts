/**
 * DICT as it is met from here, stage by stage, so that a failure names the stage: its address, name, port, TLS, answer, the signatures of
 * both sides, its clock and its token buckets. Costs one token of POLICIES_LIST and one of SYNC_VERIFICATIONS_WRITE; changes nothing.
 */

import type { DictReadClientOptions } from '../../bridge/dict-client.ts';
import { type Probed, probePolicies, probeVerification } from '../../bridge/dict-probe.ts';
import type { Config } from '../../config.ts';
import { DictError } from '../../dict/errors.ts';
import type { Participant } from '../../dict/participant.ts';
import type { Scope } from '../../vsync/scope.ts';
import { alone, type Checked, type Finding, fail, ok, skip, warn } from './finding.ts';
import { checkName, checkPort, type Place, placeOf } from './reach.ts';

const SCHEME_PORTS = { https: 443, http: 80 };

/** The address itself; null where there is none. */
export function checkAddress({ url }: Config['dict']): Checked<Place> {
  const check = 'DICT address';
  if (url === null) {
    const advice =
      'set DICT_URL: https://dict.pi.rsfn.net.br:16422/api/v2/, or https://dict-h.pi.rsfn.net.br:16522/api/v2/ for homologation';
    return alone(warn(check, 'none is configured: commands that ask DICT are refused', advice));
  }
  const result = placeOf(url, SCHEME_PORTS);
  if (url.startsWith('https:')) return { findings: [ok(check, url)], result };
  return {
    findings: [warn(check, `${url}: nothing is encrypted`, 'right for a simulator only; DICT’s address begins with https')],
    result,
  };
}

/** Name and port of DICT; the result is null where it cannot be connected to. */
export async function checkReach(place: Place, limitMs: number, signal: AbortSignal): Promise<Checked<Place>> {
  const advice = 'check DICT_URL, and that this machine asks the name servers of the RSFN';
  const { finding, address } = await checkName('DICT name', place.host, advice);
  if (address === null) return alone(finding);
  const port = await checkPort('DICT port', place, { limitMs, signal });
  return { findings: [finding, port], result: port.level === 'ok' ? place : null };
}

/** Names of the hosts that CID set files may come from; only with the first file would it else be known that one is wrong. */
export async function checkFilesHosts({ filesHosts }: Config['dict']): Promise<readonly Finding[]> {
  const hosts = (filesHosts ?? []).map((host) => new URL(`http://${host}/`).hostname.replace(/^\[|\]$/g, ''));
  const advice = 'check DICT_FILES_HOSTS, and that this machine asks the name servers of the RSFN';
  return (await Promise.all(hosts.map((host) => checkName('files host', host, advice)))).map(({ finding }) => finding);
}

/** What the first answer showed; the stages after it need it. */
export type Answered = Probed;

/** TLS, HTTP and the signature of an answer, by one question as the program asks it. */
export async function checkAnswer(
  options: DictReadClientOptions,
  participant: Participant,
  signal: AbortSignal,
): Promise<Checked<Answered>> {
  const secure = options.apiUrl.startsWith('https:');
  const tls = secure ? [ok('DICT TLS', secureText(options))] : [];
  try {
    const probed = await probePolicies(options, participant, signal);
    const took = probed.answeredAt.getTime() - probed.sentAt.getTime();
    const answer = ok('DICT answer', `answered participant ${participant} in ${took} ms; correlation ${probed.correlationId}`);
    return { findings: [...tls, answer, signatureOf(options)], result: probed };
  } catch (cause) {
    if (!(cause instanceof DictError)) throw cause;
    const failure = failureOf(cause, participant, secure);
    const passed = failure.check === 'DICT TLS' || cause.status === 0 ? [] : tls;
    // Behind a signature that does not hold there was an answer.
    const answer = failure.check === 'DICT signature' ? [ok('DICT answer', `answered participant ${participant}`)] : [];
    return alone(...passed, ...answer, failure);
  }
}

function secureText({ tls }: DictReadClientOptions): string {
  return tls?.().certificate == null ? 'stands, without a certificate of ours' : 'stands, both sides have proved themselves';
}

function signatureOf({ signatures }: DictReadClientOptions): Finding {
  const check = 'DICT signature';
  if (signatures?.trust == null) return skip(check, 'not verified: there is no trust store');
  if (signatures.answers === 'required') return ok(check, 'the answer was signed with a certificate of the trust store');
  return warn(
    check,
    'answers without a signature pass',
    'set DICT_VSYNC_DICT_ANSWERS_SIGNED and DICT_VSYNC_DICT_ERRORS_SIGNED to required: DICT signs everything',
  );
}

const TLS_KINDS: readonly string[] = [
  'ServerCertificateUntrusted',
  'ServerCertificateExpired',
  'ServerNameMismatch',
  'ClientCertificateRefused',
  'TlsFailed',
];

/** What an error says of the way to DICT, and what to do. */
function failureOf(error: DictError, participant: Participant, secure: boolean): Finding {
  const { kind, correlationId } = error;
  // Which question it was says nothing here.
  const message = error.message.replace(/^[A-Za-z]+: /, '');
  const correlated = correlationId === null ? '' : `; correlation ${correlationId}`;
  // The port took our connection a moment ago: what fails before anything is sent is TLS. Messages say more, they are made for people.
  if (TLS_KINDS.includes(kind) || (secure && kind === 'Unreachable'))
    return fail('DICT TLS', message, 'see DICT_URL and the DICT_VSYNC_DICT_TLS_… options');
  const check = 'DICT answer';
  switch (kind) {
    case 'AnswerSignatureInvalid':
      return fail(
        'DICT signature',
        message,
        'see that DICT_VSYNC_DICT_TRUST_STORE holds the certificate that the Central Bank signs with now, and that this machine’s clock is right',
      );
    case 'RateLimited':
      return warn(
        check,
        'the token bucket POLICIES_LIST is empty',
        'run doctor again in a minute; other programs of this participant ask too',
      );
    case 'Forbidden':
    case 'ParticipantInvalid':
      return fail(
        check,
        `DICT refuses participant ${participant} (${kind}${correlated})`,
        'see that PARTICIPANT_ISPB is right, that it is active in this environment of DICT, and that the certificates are its own',
      );
    case 'ServiceUnavailable':
    case 'InternalServerError':
      return fail(
        check,
        `${message}${correlated}`,
        'DICT is not well: try again, and see the Central Bank’s notices if it lasts',
      );
    case 'InvalidAnswer':
    case 'NotFound':
      return fail(check, `${message}${correlated}`, 'what answered is not DICT’s API: check host, port and path of DICT_URL');
    case 'Timeout':
      return fail(
        check,
        message,
        'the connection stands and nothing comes: check what lies between, and DICT_VSYNC_DICT_CALL_TIMEOUT',
      );
    default:
      return fail(
        check,
        `${message}${correlated}`,
        'check that DICT_URL begins with https where the port speaks TLS, and what lies between',
      );
  }
}

/** A machine with NTP keeps within 0.1 s: whoever is 2 s off has none at work, and time to mend it before the 5 s that judgements allow. */
const SKEW_WARNING_MS = 2_000;

/**
 * How far our clock is from DICT's. What a judgement of "newer here" allows is the limit (rule R4): beyond it, events of the core that
 * bear this machine's time are held against DICT's times wrongly.
 */
export function checkClock(answered: Answered, config: Config): Finding {
  const check = 'clock';
  const limitMs = config.reconciliation.clockSkewMs;
  if (config.program.timeScale !== 1)
    return skip(check, `not compared: it runs ${config.program.timeScale} times as fast on purpose`);
  const { responseTime, sentAt, answeredAt } = answered;
  if (responseTime === null) return skip(check, 'DICT’s answer does not tell its time');
  const halfMs = (answeredAt.getTime() - sentAt.getTime()) / 2;
  const aheadMs = sentAt.getTime() + halfMs - responseTime.getTime();
  // DICT stamped its answer somewhere between the two: what the round trip explains is no skew.
  const surelyMs = Math.max(0, Math.abs(aheadMs) - halfMs);
  const seen = `ours is ${(Math.abs(aheadMs) / 1_000).toFixed(1)} s ${aheadMs >= 0 ? 'ahead of' : 'behind'} DICT’s (± ${(halfMs / 1_000).toFixed(1)} s)`;
  const advice = 'see that NTP (chrony, systemd-timesyncd) runs here and has a source that it can reach';
  if (surelyMs > limitMs) return fail(check, `${seen}; judgements allow ${limitMs / 1_000} s`, advice);
  return surelyMs > SKEW_WARNING_MS ? warn(check, seen, advice) : ok(check, seen);
}

/** Kept for what verifications are for. */
const TOKENS_KEPT = 5;

/** Whether DICT accepts what we sign: asked by a verification of what the base really holds, so that it says nothing untrue. */
export async function checkOurSignature(
  options: DictReadClientOptions,
  about: { readonly answered: Answered; readonly held: { readonly scope: Scope; readonly vsync: string } | null },
  signal: AbortSignal,
): Promise<Finding> {
  const check = 'our signature';
  const { answered, held } = about;
  if (options.signatures?.sign == null) return skip(check, 'there is nothing to sign with');
  if (held === null)
    return skip(
      check,
      'not tried: the base has nothing of this participant that DICT could be asked about now (no keys, or ingest is behind)',
    );
  const policy = answered.policies.find(({ name }) => name === 'SYNC_VERIFICATIONS_WRITE');
  if (policy !== undefined && policy.availableTokens < TOKENS_KEPT) {
    return skip(check, `not tried: only ${policy.availableTokens} tokens are left for verifications`);
  }
  const { participant, keyType } = held.scope;
  try {
    const { id, result } = await probeVerification(
      options,
      { participant, keyType, participantSyncVerifier: held.vsync },
      signal,
    );
    const hint = result === 'OK' ? '' : ': ordinary under traffic; "dict-vsync verify" explains it';
    return ok(check, `DICT took a signed verification of ${keyType} (number ${id}) and said ${result}${hint}`);
  } catch (cause) {
    if (!(cause instanceof DictError)) throw cause;
    if (cause.kind === 'RequestSignatureInvalid') {
      const advice =
        'see that the Central Bank knows the certificate of DICT_VSYNC_DICT_SIGNING_CERTIFICATE for this participant and environment';
      return fail(check, `DICT does not accept it; correlation ${cause.correlationId ?? 'none'}`, advice);
    }
    // Somebody else has used the last tokens since DICT told of them: nothing is wrong, and nothing was learned.
    if (cause.kind === 'RateLimited') return skip(check, 'not tried: DICT has no token of SYNC_VERIFICATIONS_WRITE left');
    const { check: stage, seen, advice } = failureOf(cause, participant, options.apiUrl.startsWith('https:'));
    return { check, level: 'fail', seen: `${stage}: ${seen}`, advice };
  }
}
