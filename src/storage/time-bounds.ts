import { LIMITS } from "../core/limits.ts";

/** How long a site believes, keeps and waits; all in milliseconds. Operators may set them. */
export type TimeBounds = {
  /** How far ahead a clock, another site's or our own, may be and still be believed. */
  readonly clockDriftMs: number;
  /** How long a write that lost to one that did not know of it is kept, by its own clock. */
  readonly conflictMs: number;
  /**
   * How long a site with peers keeps its log, tombstones and marks, whichever site has them
   * already.
   */
  readonly historyMs: number;
  /** A peer that was silent for longer is not waited for, and has to take over rows. */
  readonly peerMs: number;
};

/** The bounds in force unless the operator sets others. */
export const DEFAULT_TIME_BOUNDS: TimeBounds = {
  clockDriftMs: LIMITS.clockDriftMsMax,
  conflictMs: LIMITS.conflictRetentionMs,
  historyMs: LIMITS.historyRetentionMs,
  peerMs: LIMITS.peerRetentionMs,
};
