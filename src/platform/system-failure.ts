/**
 * What the operating system refuses, in words that name the thing and what to do. Errors that say nothing about the world outside
 * (a fault of ours) are not told here.
 */

/** Code → what it means and what helps. */
const meanings: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied to this user',
  EAGAIN: 'it is in use by somebody else',
  EDQUOT: 'the disk quota is used up: free space, or name another place',
  EEXIST: 'it exists already',
  EFBIG: 'the file system allows no larger file',
  EIO: 'the device reports an error of input or output',
  EISDIR: 'it is a directory',
  ELOOP: 'its links go round in a circle',
  EMFILE: 'this process has too many open files (ulimit -n)',
  ENAMETOOLONG: 'the name is too long',
  ENFILE: 'the system has too many open files',
  ENODEV: 'there is no such device',
  ENOENT: 'there is no such file or directory',
  ENOSPC: 'no space is left on the device: free some, or name another place',
  ENOTDIR: 'a part of its path is no directory',
  ENXIO: 'there is no such device, or nobody serves it',
  EPERM: 'the system does not permit it',
  EROFS: 'the file system is read-only: name another place',
  ESTALE: 'the file is gone from the server that held it',
  ETXTBSY: 'it is a program that runs',
};

/** An error that the operating system gave. */
export interface SystemFailure extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly path?: string;
}

/** Whether a value is the operating system's refusal of something, and not a mistake of the program. */
export function isSystemFailure(cause: unknown): cause is SystemFailure {
  return (
    cause instanceof Error &&
    'code' in cause &&
    typeof cause.code === 'string' &&
    'syscall' in cause &&
    typeof cause.syscall === 'string' &&
    (!('path' in cause) || typeof cause.path === 'string') &&
    Object.hasOwn(meanings, cause.code)
  );
}

/** Code and sentence for whatever was caught while a file was worked on. */
export function fileFailureOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const meaning = 'code' in cause && typeof cause.code === 'string' ? meanings[cause.code] : undefined;
  return meaning === undefined || !('code' in cause) ? cause.message : `${String(cause.code)}: ${meaning}`;
}
