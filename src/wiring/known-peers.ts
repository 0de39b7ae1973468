import type { MemberSite } from "../core/site-record.ts";

/**
 * Peers for those who look at intervals whether there are any: read from the index only when
 * something has been written since, for who reads the index of a site at rest keeps its disk at
 * work.
 */
export function peersWhenWritten(
  /** Grows whenever readers of the index see something new, a peer among it. */
  activity: () => number,
  peers: () => readonly MemberSite[],
): () => readonly MemberSite[] {
  let known: readonly MemberSite[] = [];
  let seen: number | undefined;
  return () => {
    const now = activity();
    if (now !== seen) known = peers();
    seen = now;
    return known;
  };
}
