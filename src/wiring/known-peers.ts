import type { MemberSite } from "../core/site-record.ts";

/**
 * The peers, for code that regularly checks whether there are any. They are read from the index
 * only after something was written, because reading the index of a site at rest would keep its disk
 * busy.
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
