/**
 * Programs that are not ours and that tests are held against or run on, where the machine has them: xmlsec1, a JDK, openssl, Redis. `.ci/run` installs them on
 * Debian and Ubuntu; elsewhere a test that needs one is skipped and says so.
 */

import { execFileSync } from 'node:child_process';

/** Why xmlsec1 cannot be used; null when it can. */
export function xmlsecMissing(): string | null {
  return output('xmlsec1', ['--version']) === null
    ? 'xmlsec1 is not installed (Debian, Ubuntu: apt-get install xmlsec1; macOS: brew install libxmlsec1)'
    : null;
}

/** Why no JDK that runs a source file can be used; null when one can. */
export function jdkMissing(): string | null {
  const modules = output('java', ['--list-modules']) ?? '';
  const whole = modules.includes('jdk.compiler@') && modules.includes('java.xml.crypto@');
  return whole ? null : 'no JDK 17 or later is installed (Debian, Ubuntu: apt-get install default-jdk-headless)';
}

/** Why the program openssl cannot be used; null when it can. */
export function opensslMissing(): string | null {
  const version = output('openssl', ['version']) ?? '';
  return version.startsWith('OpenSSL ') ? null : 'openssl is not installed (Debian, Ubuntu: apt-get install openssl)';
}

/** Why no Redis server can be started; null when one can. */
export function redisMissing(): string | null {
  return output('redis-server', ['--version']) === null
    ? 'redis-server is not installed (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)'
    : null;
}

function output(program: string, parameters: readonly string[]): string | null {
  try {
    return execFileSync(program, parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 });
  } catch {
    return null;
  }
}
