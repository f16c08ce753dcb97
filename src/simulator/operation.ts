/** The names of what the simulator serves. */

/** Every operation; `downloadCidSetFile` is the one on the second port. */
export const OPERATIONS = [
  'createSyncVerification',
  'createCidSetFile',
  'getCidSetFile',
  'listCidSetEvents',
  'getEntryByCid',
  'listPolicies',
  'getPolicy',
  'createEntry',
  'updateEntry',
  'deleteEntry',
  'getEntry',
  'confirmClaim',
  'completeClaim',
  'getKeys',
  'downloadCidSetFile',
] as const;
export type Operation = (typeof OPERATIONS)[number];
