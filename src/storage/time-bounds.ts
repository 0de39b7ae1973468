import { LIMITS } from "../core/limits.ts";

/** How long a site believes, keeps and waits; all in milliseconds. Operators may set them. */
export type TimeBounds = {
  /** A clock may be ahead by so much, another site's or our own, before it is not believed. */
  readonly clockDriftMs: number;
  /** How long a write that lost to one that did not know of it is kept, by its own clock. */
  readonly conflictMs: number;
  /** Once a site has peers its log, and marks of removals, are kept so long, whoever has them. */
  readonly historyMs: number;
  /** A peer that was silent for longer is not waited for: it has to take over rows. */
  readonly peerMs: number;
};

/** What holds where nobody says anything else. */
export const DEFAULT_TIME_BOUNDS: TimeBounds = {
  clockDriftMs: LIMITS.clockDriftMsMax,
  conflictMs: LIMITS.conflictRetentionMs,
  historyMs: LIMITS.historyRetentionMs,
  peerMs: LIMITS.peerRetentionMs,
};
