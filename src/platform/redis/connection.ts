/**
 * One connection to a Redis server, for scripts: made on demand, given up when a call gets no answer in time, made again after a
 * wait that grows. Nothing queues here: while the server cannot be reached every call fails at once with `RedisUnavailable`, and
 * whoever asks decides how long to go on. Left out: clusters and sentinels (a URL names one server, or an address that moves with
 * it), publishing and subscribing.
 */

import { createHash } from 'node:crypto';

export interface RedisOptions {
  /** redis:// or rediss:// with host, port and database number; user and password may stand in it. */
  readonly url: string;
  readonly user: string | null;
  readonly password: string | null;
  /** Certificates in PEM that the server's is verified with; null: those that Node trusts. */
  readonly authorities: string | null;
  /** For one connection, its greeting included. */
  readonly connectMs: number;
  /** For one call. */
  readonly callMs: number;
  /** 0 up to but not 1, for the jitter of waits. */
  readonly random: () => number;
}

/** Redis cannot be reached, refused us, or gave no answer in time. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable';

  /** Whether the call went out, so that it may have been carried out. */
  readonly sent: boolean;

  constructor(server: string, cause: unknown, sent: boolean) {
    super(`Redis at ${server} cannot be used: ${reasonOf(cause)}`, { cause });
    this.sent = sent;
  }
}

/** A Lua script, known to Redis by its SHA-1. */
export interface RedisScript {
  readonly text: string;
  readonly sha1: string;
}

/** A script by its text. */
export function redisScript(text: string): RedisScript {
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

export interface RedisConnection {
  /** Host and port, for messages; never a password. */
  readonly server: string;
  /** Runs a script. Rejects with `RedisUnavailable`, or with what the script itself says is wrong. */
  run(script: RedisScript, keys: readonly string[], parameters: readonly string[]): Promise<unknown>;
  close(): void;
}

/** What a server answers that cannot serve now, whatever the call is. */
const UNFIT = ['LOADING', 'READONLY', 'MASTERDOWN', 'BUSY', 'NOAUTH', 'NOPERM', 'WRONGPASS', 'OOM', 'MISCONF', 'NOREPLICAS'];

const FIRST_WAIT_MS = 50;
const WAIT_MAX_MS = 2_000;

/** Loaded only where it is needed: its 478 files cost 0.2 s of processor time. */
type Library = typeof import('@redis/client');
type Client = ReturnType<typeof newClient>;

/**
 * Connects once, so that an address that is wrong is known at the start.
 *
 * @throws RedisUnavailable when the server cannot be reached or refuses us.
 */
export async function openRedis(options: RedisOptions): Promise<RedisConnection> {
  const connection = new Connection(options, await import('@redis/client'));
  await connection.client();
  return connection;
}

class Connection implements RedisConnection {
  readonly server: string;
  readonly #options: RedisOptions;
  readonly #library: Library;
  #client: Promise<Client> | null = null;
  #failures = 0;
  #nextTryMs = 0;
  #closed = false;

  constructor(options: RedisOptions, library: Library) {
    this.#options = options;
    this.#library = library;
    this.server = new URL(options.url).host;
  }

  /** The connection there is, or a new one; at once an error while the wait after a failure lasts. */
  client(): Promise<Client> {
    if (this.#closed) return Promise.reject(new RedisUnavailable(this.server, 'the connection is closed', false));
    if (this.#client !== null) return this.#client;
    if (performance.now() < this.#nextTryMs) {
      return Promise.reject(new RedisUnavailable(this.server, 'it was just tried, the next try follows', false));
    }
    const connecting = this.#connect();
    this.#client = connecting;
    return connecting;
  }

  async run(script: RedisScript, keys: readonly string[], parameters: readonly string[]): Promise<unknown> {
    const client = await this.client();
    const given = { keys: [...keys], arguments: [...parameters] };
    try {
      return await this.#timely(client.evalSha(script.sha1, given));
    } catch (cause) {
      // Redis forgets scripts when it restarts or is told to.
      if (!this.#isReply(cause, 'NOSCRIPT')) throw this.#failed(client, cause);
    }
    try {
      return await this.#timely(client.eval(script.text, given));
    } catch (cause) {
      throw this.#failed(client, cause);
    }
  }

  close(): void {
    this.#closed = true;
    void this.#client?.then(end, () => {});
    this.#client = null;
  }

  async #connect(): Promise<Client> {
    const client = newClient(this.#library, this.#options);
    // A client without a listener would end the process. What failed shows in the calls that were waiting.
    client.on('error', () => this.#forget(client));
    try {
      await within(this.#options.connectMs, client.connect());
      this.#failures = 0;
      if (this.#closed) end(client);
      return client;
    } catch (cause) {
      end(client);
      this.#client = null;
      this.#wait();
      throw new RedisUnavailable(this.server, cause, false);
    }
  }

  #timely<Result>(reply: Promise<Result>): Promise<Result> {
    return within(this.#options.callMs, reply);
  }

  /** What a call failed with. An answer about the call leaves the connection as it is, all else ends it: late answers help nobody. */
  #failed(client: Client, cause: unknown): unknown {
    if (this.#isReply(cause, '') && !UNFIT.some((word) => this.#isReply(cause, word))) return cause;
    this.#forget(client);
    return new RedisUnavailable(this.server, cause, true);
  }

  #forget(client: Client): void {
    end(client);
    const held = this.#client;
    void held?.then(
      (current) => {
        if (current !== client || this.#client !== held) return;
        this.#client = null;
        this.#wait();
      },
      () => {},
    );
  }

  /** Whether Redis itself answered that, and with that word first. */
  #isReply(cause: unknown, word: string): boolean {
    return cause instanceof this.#library.ErrorReply && cause.message.startsWith(word);
  }

  #wait(): void {
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** this.#failures, WAIT_MAX_MS);
    this.#failures += 1;
    // Half of it at random, so that replicas do not come back together.
    this.#nextTryMs = performance.now() + waitMs / 2 + (waitMs / 2) * this.#options.random();
  }
}

function newClient({ createClient }: Library, { url, user, password, authorities, connectMs }: RedisOptions) {
  const common = { connectTimeout: connectMs, reconnectStrategy: false } as const;
  const tls = new URL(url).protocol === 'rediss:';
  return createClient({
    url,
    ...(user === null ? {} : { username: user }),
    ...(password === null ? {} : { password }),
    socket: tls ? { ...common, tls: true, minVersion: 'TLSv1.2', ...(authorities === null ? {} : { ca: authorities }) } : common,
    disableOfflineQueue: true,
    commandsQueueMaxLength: 10_000,
    // Answers here are numbers and texts: the older protocol needs no greeting that an older server does not know.
    RESP: 2,
    disableClientInfo: true,
    maintNotifications: 'disabled',
  });
}

function end(client: Client): void {
  if (client.isOpen) client.destroy();
}

/** Network time: it runs on the system's clock, however fast the product's runs. */
async function within<Result>(ms: number, promise: Promise<Result>): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    // Nobody waits for it any more.
    promise.catch(() => {});
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // A host of several addresses fails without a message of its own.
  return cause.message || ('code' in cause ? String(cause.code) : cause.name);
}
