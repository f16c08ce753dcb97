/** Work that goes on beside the story (traffic, deliveries) and must neither outlive it nor fail unnoticed. */

export interface Background {
  /** Ends the work started here, and everything that was given it. */
  readonly signal: AbortSignal;
  start(work: (signal: AbortSignal) => Promise<void>): void;
  /** Resolves as the story does; rejects as soon as something in the background has failed. */
  guard<Result>(story: Promise<Result>): Promise<Result>;
  /** Ends it all and waits until it has ended. */
  stop(): Promise<void>;
}

/** `interruption`: ends the background too. */
export function inBackground(interruption: AbortSignal): Background {
  const ending = new AbortController();
  const signal = AbortSignal.any([interruption, ending.signal]);
  const works: Promise<void>[] = [];
  const { promise: failed, reject } = Promise.withResolvers<never>();
  // Failures are heard by guard; without a story there is nobody to tell.
  failed.catch(() => {});
  interruption.addEventListener('abort', () => reject(interruption.reason), { once: true });
  if (interruption.aborted) reject(interruption.reason);
  return {
    signal,
    start: (work) => {
      works.push(
        work(signal).catch((cause: unknown) => {
          reject(cause);
        }),
      );
    },
    guard: async (story) => {
      try {
        return await Promise.race([story, failed]);
      } catch (cause) {
        ending.abort(cause);
        // What the story is doing ends by that signal; nothing may be closed under it.
        await story.catch(() => {});
        throw cause;
      }
    },
    stop: async () => {
      ending.abort(new Error('the story is over'));
      await Promise.all(works);
    },
  };
}
