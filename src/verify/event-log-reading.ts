/** Reads DICT's event log from a time to its end, page by page within a budget. What the pages mean is event-log.ts. */

import type { DictApi } from '../dict/api.ts';
import type { Clock } from '../platform/clock.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { appendPage, EVENTS_PER_PAGE, emptyWindow, type LogWindow } from './event-log.ts';
import type { VerifySettings } from './settings.ts';
import { withTimeLimit } from './time-limit.ts';

export interface LogReading {
  readonly window: LogWindow;
  /** The log was asked for from here on. */
  readonly from: Date;
  /** DICT's clock at the first page: events up to the log's lag before it are all in the window. */
  readonly firstResponse: Date;
  /** DICT's clock at the last page, and how far it is ahead of ours. */
  readonly lastResponse: Date;
  readonly aheadMs: number;
}

/** `over-budget`: the log goes on after that many pages. Rejects with DICT's errors. */
export async function readEventLog(
  deps: { readonly dict: Pick<DictApi, 'listCidSetEvents'>; readonly clock: Clock; readonly settings: VerifySettings },
  scope: Scope,
  from: Date,
): Promise<({ readonly kind: 'read' } & LogReading) | { readonly kind: 'over-budget'; readonly pages: number }> {
  const { dict, clock, settings } = deps;
  let window: LogWindow = emptyWindow;
  let start = from;
  let firstResponse: Date | null = null;
  while (window.pages < settings.logPagesMax) {
    const page = await withTimeLimit(clock, settings.callLimitMs, (signal) =>
      dict.listCidSetEvents({ ...scope, startTime: start, limit: EVENTS_PER_PAGE }, { signal, priority: 'verification' }),
    );
    firstResponse ??= page.responseTime;
    const appended = appendPage(window, page);
    window = appended.window;
    if (appended.nextStart === null) {
      const aheadMs = page.responseTime.getTime() - clock.now().getTime();
      return { kind: 'read', window, from, firstResponse, lastResponse: page.responseTime, aheadMs };
    }
    start = appended.nextStart;
  }
  return { kind: 'over-budget', pages: window.pages };
}
