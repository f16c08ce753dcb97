/**
 * Keys and certificates renewed under traffic, each on its own and all of them, as operators do it: new files over old ones, the other
 * side first where both have to agree. No call may fail, and what was renewed has to be in use soon.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { createDictClient } from '../src/bridge/dict-client.ts';
import { signaturesFromFiles, type TlsSettings, tlsFromFiles } from '../src/bridge/dict-keys.ts';
import { scaledClock } from '../src/platform/clock.ts';
import { certificatesAt, trustFromFiles } from '../src/platform/key-files.ts';
import type { LogFields } from '../src/platform/log.ts';
import { xmlSigner } from '../src/platform/xml-signature.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { opensslMissing } from './support/foreign-programs.ts';
import { ispb, stamp } from './support/scripted-client.ts';
import { answer, type Script, scriptedDict } from './support/scripted-dict.ts';
import { temporaryFiles } from './support/temporary-files.ts';
import { type Issued, rsaKeys, tlsAuthority } from './support/tls-authority.ts';

const before = tlsAuthority('before');
const after = tlsAuthority('after');
const request = { participant: ispb, keyType: 'CPF' } as const;
const page = answer(
  200,
  `<ListCidSetEventsResponse>${stamp}<HasMoreElements>false</HasMoreElements><Participant>${ispb}</Participant><KeyType>CPF</KeyType></ListCidSetEventsResponse>`,
);
const noTls: TlsSettings = { tlsCertificate: null, tlsKey: null, tlsPkcs12: null, tlsPassphrase: null, tlsAuthority: null };

/** Fast, so that files are looked at every 30 ms. */
const clock = scaledClock(100);

interface Traffic {
  readonly calls: number;
  readonly failures: readonly unknown[];
  /** Resolves when it holds; at its bound the test fails by what it asserts afterwards. */
  until(holds: () => boolean): Promise<void>;
  end(): Promise<void>;
}

/** Calls without a pause, some at a time, each counted. */
function traffic(call: () => Promise<unknown>, lanes = 4): Traffic {
  const failures: unknown[] = [];
  let calls = 0;
  let ending = false;
  const lane = async (): Promise<void> => {
    while (!ending) {
      await call().catch((error: unknown) => failures.push(error));
      calls += 1;
    }
  };
  const running = Promise.all(Array.from({ length: lanes }, lane));
  return {
    get calls() {
      return calls;
    },
    failures,
    until: async (holds) => {
      for (let looks = 0; looks < 3_000 && !holds() && failures.length === 0; looks += 1) await wait(10);
    },
    end: async () => {
      ending = true;
      await running;
    },
  };
}

function lines() {
  const said: { readonly message: string; readonly fields: LogFields }[] = [];
  const note = (fields: LogFields, message: string): void => void said.push({ message, fields });
  return { log: { info: note, warn: note }, said };
}

/** A server that trusts both authorities and notes which certificate came with each call. */
async function notingServer(t: TestContext, server: Issued) {
  const shown: string[] = [];
  const { certificate: cert, key } = server.pem;
  const ca = [before.pem.certificate, after.pem.certificate];
  const dict = await scriptedDict(t, { cert, key, ca, requestCert: true, rejectUnauthorized: true });
  dict.play((response, asked) => {
    // A server of TLS has sockets of TLS.
    shown.push((response.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256 ?? 'none');
    page(response, asked);
  });
  return { dict, shown, last: () => shown.at(-1) };
}

function clientOf(t: TestContext, apiUrl: string, settings: TlsSettings, log = lines().log) {
  const client = createDictClient({
    apiUrl,
    filesHosts: ['127.0.0.1'],
    clock,
    random: () => 0.5,
    retry: { triesMax: 1 },
    limits: { connections: 4 },
    budget: { policies: 'configured', rates: { CIDS_EVENTS_LIST: { capacity: 1e6, refillTokens: 1e6, refillPeriodMs: 1_000 } } },
    tls: tlsFromFiles({ clock, log }, settings),
  });
  t.after(() => client.close());
  return client;
}

const fingerprint = ({ certificate }: Issued): string => certificate.fingerprint256;

describe('under traffic, without a failed call,', () => {
  it('our certificate and key are renewed, one file after the other', async (t) => {
    const { dict, shown, last } = await notingServer(t, before.issue());
    const { write } = temporaryFiles(t);
    const [old, renewed] = [before.issue(), after.issue({ keys: rsaKeys() })];
    const { log, said } = lines();
    const settings = {
      ...noTls,
      tlsCertificate: write('client.pem', old.pem.certificate),
      tlsKey: write('client-key.pem', old.pem.key),
      tlsAuthority: write('authority.pem', before.pem.certificate),
    };
    const client = clientOf(t, dict.apiUrl, settings, log);
    const calls = traffic(() => client.listCidSetEvents(request, { priority: 'person' }));
    await calls.until(() => shown.length > 20);
    // Until its key has come too, the new certificate is of no use.
    writeFileSync(settings.tlsCertificate, renewed.pem.certificate);
    await calls.until(() => said.length > 0);
    assert.match(said[0]?.message ?? '', /cannot be used: those read before stay in use/);
    assert.match(String(said[0]?.fields['err']), /client-key\.pem: the key does not belong/);
    assert.equal(last(), fingerprint(old));
    writeFileSync(settings.tlsKey, renewed.pem.key);
    await calls.until(() => last() === fingerprint(renewed));
    await calls.until(() => shown.slice(-50).every((one) => one === fingerprint(renewed)));
    await calls.end();
    assert.deepEqual(calls.failures, []);
    assert.deepEqual(new Set(shown), new Set([fingerprint(old), fingerprint(renewed)]));
    assert.equal(last(), fingerprint(renewed), 'every new call uses it, also where connections were kept');
    assert.deepEqual(
      said.map(({ message }) => message),
      [said[0]?.message, 'changed keys or certificates were read again'],
    );
  });

  it('the server’s certificate and its authority are renewed', async (t) => {
    const { dict, shown } = await notingServer(t, before.issue());
    const { write } = temporaryFiles(t);
    const own = before.issue();
    const { log, said } = lines();
    const settings = {
      ...noTls,
      tlsCertificate: write('client.pem', own.pem.certificate),
      tlsKey: write('client-key.pem', own.pem.key),
      tlsAuthority: write('authority.pem', before.pem.certificate),
    };
    const client = clientOf(t, dict.apiUrl, settings, log);
    const calls = traffic(() => client.listCidSetEvents(request, { priority: 'person' }));
    await calls.until(() => shown.length > 20);
    writeFileSync(settings.tlsAuthority, before.pem.certificate + after.pem.certificate);
    await calls.until(() => said.length === 1);
    const { certificate: cert, key } = after.issue().pem;
    dict.renew({ cert, key, ca: before.pem.certificate });
    writeFileSync(settings.tlsAuthority, after.pem.certificate);
    await calls.until(() => said.length === 2);
    const called = shown.length;
    await calls.until(() => shown.length > called + 50);
    await calls.end();
    assert.deepEqual(calls.failures, []);
    // What has been taken out of the file is trusted no longer.
    const strange = await notingServer(t, before.issue());
    const later = clientOf(t, strange.dict.apiUrl, settings);
    await assert.rejects(later.listCidSetEvents(request), /not trusted here/);
  });

  it('a broken file leaves everything as it was', async (t) => {
    const { dict, shown } = await notingServer(t, before.issue());
    const { write } = temporaryFiles(t);
    const own = before.issue();
    const { log, said } = lines();
    const settings = {
      ...noTls,
      tlsCertificate: write('client.pem', own.pem.certificate),
      tlsKey: write('client-key.pem', own.pem.key),
      tlsAuthority: write('authority.pem', before.pem.certificate),
    };
    const client = clientOf(t, dict.apiUrl, settings, log);
    const calls = traffic(() => client.listCidSetEvents(request, { priority: 'person' }));
    for (const file of [settings.tlsCertificate, settings.tlsKey, settings.tlsAuthority]) {
      const complaints = said.length;
      writeFileSync(file, 'half a fi');
      await calls.until(() => said.length > complaints);
    }
    const calledBefore = shown.length;
    await calls.until(() => shown.length > calledBefore + 50);
    await calls.end();
    assert.deepEqual(calls.failures, []);
    assert.deepEqual(new Set(shown), new Set([fingerprint(own)]));
    assert.ok(said.length >= 3 && said.every(({ message }) => /cannot be used/.test(message)));
  });

  it('a call that takes long ends as it began, on the connection with the old certificate', async (t) => {
    const { dict, last } = await notingServer(t, before.issue());
    const { write } = temporaryFiles(t);
    const [old, renewed] = [before.issue(), after.issue()];
    const settings = {
      ...noTls,
      tlsCertificate: write('client.pem', old.pem.certificate),
      tlsKey: write('client-key.pem', old.pem.key),
      tlsAuthority: write('authority.pem', before.pem.certificate),
    };
    const client = clientOf(t, dict.apiUrl, settings);
    let finish: () => void = () => {};
    let begun = false;
    const slow: Script = (response, asked) => {
      begun = true;
      finish = () => page(response, asked);
    };
    const shown: (string | undefined)[] = [];
    const quick: Script = (response, asked) => {
      // As above.
      shown.push((response.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256);
      page(response, asked);
    };
    dict.play(slow, quick);
    const waiting = client.listCidSetEvents(request, { priority: 'person' });
    while (!begun) await wait(5);
    writeFileSync(settings.tlsCertificate, renewed.pem.certificate);
    for (let tries = 0; tries < 3_000 && shown.at(-1) !== fingerprint(renewed); tries += 1) {
      await client.listCidSetEvents(request, { priority: 'person' });
    }
    assert.equal(shown.at(-1), fingerprint(renewed));
    finish();
    assert.deepEqual((await waiting).events, []);
    assert.equal(last(), undefined);
  });

  it('everything can be closed while a call of before the renewal is under way', async (t) => {
    const { dict } = await notingServer(t, before.issue());
    const { write } = temporaryFiles(t);
    const settings = { ...noTls, tlsAuthority: write('authority.pem', before.pem.certificate) };
    const own = before.issue();
    const client = clientOf(t, dict.apiUrl, {
      ...settings,
      tlsCertificate: write('client.pem', own.pem.certificate),
      tlsKey: write('client-key.pem', own.pem.key),
    });
    let begun = false;
    dict.play(() => {
      begun = true;
    }, page);
    const waiting = client.listCidSetEvents(request, { priority: 'person' }).catch(String);
    while (!begun) await wait(5);
    write('client.pem', before.issue().pem.certificate);
    await wait(100);
    await client.listCidSetEvents(request, { priority: 'person' });
    await client.close();
    assert.match(String(await waiting), /^ConnectionLost: .*UND_ERR_DESTROYED/);
  });

  it('a PKCS#12 file is renewed', { skip: opensslMissing() ?? false }, async (t) => {
    const { dict, shown, last } = await notingServer(t, before.issue());
    const { write, directory } = temporaryFiles(t);
    const [old, renewed] = [before.issue(), after.issue({ keys: rsaKeys() })];
    const tlsPkcs12 = path.join(directory, 'client.p12');
    const place = ({ pem }: Issued): void => {
      const files = ['-in', write('c.pem', pem.certificate), '-inkey', write('k.pem', pem.key), '-passout', 'pass:segredo'];
      execFileSync('openssl', ['pkcs12', '-export', ...files, '-out', tlsPkcs12], { stdio: 'ignore' });
    };
    place(old);
    const authority = write('authority.pem', before.pem.certificate);
    const client = clientOf(t, dict.apiUrl, { ...noTls, tlsPkcs12, tlsPassphrase: 'segredo', tlsAuthority: authority });
    const calls = traffic(() => client.listCidSetEvents(request, { priority: 'person' }));
    await calls.until(() => last() === fingerprint(old));
    place(renewed);
    await calls.until(() => last() === fingerprint(renewed));
    await calls.end();
    assert.deepEqual(calls.failures, []);
    assert.equal(shown[0], fingerprint(old));
    assert.equal(last(), fingerprint(renewed));
  });

  it('the keys of signatures are renewed on both sides', async (t) => {
    const { write } = temporaryFiles(t);
    const [old, renewed] = [before.issue({ keys: rsaKeys() }), after.issue({ keys: rsaKeys() })];
    const [oldDict, renewedDict] = [before.issue({ keys: rsaKeys() }), after.issue({ keys: rsaKeys() })];
    const files = {
      signingKey: write('sign-key.pem', old.pem.key),
      signingCertificate: write('sign.pem', old.pem.certificate),
      signingKeyPassphrase: null,
      trustStore: path.dirname(write('trust/dict.pem', oldDict.pem.certificate)),
      answersSigned: 'required',
      errorsSigned: 'required',
    } as const;
    const known = write('known/participants.pem', old.pem.certificate + renewed.pem.certificate);
    const dictSide = { sign: xmlSigner(oldDict.key, oldDict.certificate), trust: trustFromFiles(known) };
    const simulator = await startSimulator({ clock, policies: null, signatures: dictSide });
    const { log, said } = lines();
    const client = createDictClient({
      apiUrl: simulator.apiUrl,
      filesHosts: ['127.0.0.1'],
      clock,
      random: () => 0.5,
      retry: { triesMax: 1 },
      budget: {
        policies: 'configured',
        rates: { SYNC_VERIFICATIONS_WRITE: { capacity: 1e6, refillTokens: 1e6, refillPeriodMs: 1_000 } },
      },
      signatures: signaturesFromFiles({ clock, log }, files),
    });
    t.after(async () => {
      await client.close();
      await simulator.close();
    });
    const question = { ...request, participantSyncVerifier: '0'.repeat(64) };
    const calls = traffic(() => client.createSyncVerification(question, { priority: 'person' }));
    await calls.until(() => calls.calls > 20);
    // First what is trusted here, then what DICT signs with.
    write('trust/renewed.pem', renewedDict.pem.certificate);
    await calls.until(() => said.length === 1);
    Object.assign(dictSide, { sign: xmlSigner(renewedDict.key, renewedDict.certificate) });
    writeFileSync(files.signingCertificate, renewed.pem.certificate);
    writeFileSync(files.signingKey, renewed.pem.key);
    await calls.until(() => said.some(({ fields }) => String(fields['files']).includes('sign-key.pem')));
    await calls.end();
    // The old certificate is forgotten by DICT: only who signs with the new one is understood.
    Object.assign(dictSide, { trust: trustFromFiles(write('known/renewed.pem', renewed.pem.certificate)) });
    const later = traffic(() => client.createSyncVerification(question, { priority: 'person' }));
    await later.until(() => later.calls > 20);
    await later.end();
    assert.deepEqual([calls.failures, later.failures], [[], []]);
    assert.equal(certificatesAt(files.trustStore).length, 2);
    assert.equal((await client.createSyncVerification(question)).result, 'OK');
  });
});
