/** The control interface put together: tampering, faults, and what can be seen behind the scenes. */

import { activeEntries, activeEntry } from './active-entry.ts';
import type { FaultScript } from './behaviour.ts';
import type { Parts } from './call.ts';
import type { Scoped, SimulatorState } from './control.ts';
import type { DirectoryScope } from './directory.ts';
import type { PlannedFaults } from './fault-plan.ts';
import { FILE_VARIANTS } from './file-variant.ts';
import { entryMarks, entryTampering, logTampering } from './tampering.ts';

/** The control of a running simulator; `counts` are the API's own. */
export function simulatorState(
  parts: Parts,
  { script, planned }: { readonly script: FaultScript; readonly planned: PlannedFaults },
  counts: () => Readonly<Record<string, number>>,
): SimulatorState {
  const { directory } = parts;
  const scopeOf = (scope: Scoped): DirectoryScope => directory.scope(scope.participant, scope.keyType);
  return {
    ...entryTampering(parts),
    ...logTampering(parts),
    ...entryMarks(parts),
    planFile: (variant, times = 1) => {
      if (!FILE_VARIANTS.includes(variant))
        throw new TypeError(`file variant: "${variant}" is none of ${FILE_VARIANTS.join(', ')}`);
      parts.files.plan(variant, times);
    },
    addFault: script.add,
    clearFaults: () => {
      script.clear();
      planned.begin(null);
      parts.files.unplan();
    },
    planFaults: planned.begin,
    drawnFaults: planned.drawn,
    setTokens: parts.buckets.set,
    activeEntries: (filter) => activeEntries(directory.scopes(), filter ?? {}),
    entryByKey: (key) => {
      const entry = directory.byKey(key);
      return entry === undefined ? null : activeEntry(entry);
    },
    vsync: (scope) => ({ vsync: directory.vsync(scopeOf(scope)), keys: scopeOf(scope).byCid.size }),
    events: (scope) => scopeOf(scope).log.all(),
    counts,
  };
}
