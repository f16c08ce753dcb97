/**
 * What a flow may do besides calling its steps. A flow keeps no truth: every step stores its progress in PostgreSQL under the
 * run's id, so that a flow can be started again from its first line at any time, by the in-process runner or by a workflow
 * engine. Steps take and return small plain JSON; waiting is the only thing that happens in between.
 */

export interface FlowContext<Steps> {
  /** Each call is retried by the runner under the step's policy; what rejects here is final. */
  readonly steps: Steps;
  sleep(ms: number): Promise<void>;
  /**
   * Returns when somebody has woken the flow (an approval, a resume) or after that time, whichever comes first. What woke it is
   * read from the database by the next step.
   */
  waitForWake(ms: number): Promise<void>;
}
