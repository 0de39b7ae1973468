import type { MemberSite } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";

/** What was written is in the index long before so much time has gone. */
const SETTLED_MS = 10_000;

/**
 * Peers for those who look at intervals whether there are any: read from the index only when
 * something has been written lately, for who reads the index of a site at rest keeps its disk at
 * work.
 */
export function peersWhenWritten(deps: {
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Grows whenever something has been written here, a peer among it. */
  readonly activity: () => number;
  readonly peers: () => readonly MemberSite[];
}): () => readonly MemberSite[] {
  const { clock, activity, peers } = deps;
  let known: readonly MemberSite[] = [];
  let seen: number | undefined;
  let settledMs = 0;
  return () => {
    const now = activity();
    if (now !== seen) settledMs = clock.monotonicMs() + SETTLED_MS;
    seen = now;
    if (clock.monotonicMs() <= settledMs) known = peers();
    return known;
  };
}
