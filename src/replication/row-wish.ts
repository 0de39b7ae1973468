import type { SiteId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";

/** Whose rows are wanted, and on what terms. */
export type RowWish = {
  readonly site: SiteId;
  /** This site had all of its own data before. */
  readonly merges: boolean;
  /** Nobody has named the peer: the rows of any other member would do. */
  readonly isAny: boolean;
};

/**
 * The peer to ask next for its rows; undefined when there is no other member. Where any would do,
 * they are asked in turn until one has begun to give: the first may be away, or have operations
 * whose bytes it waits for. When the source of a bootstrap was removed, it can only begin anew from
 * another member.
 */
export function sourceOf(
  { site, isAny }: RowWish,
  others: readonly MemberSite[],
  { begunAt, failures }: { readonly begunAt: SiteId | undefined; readonly failures: number },
): MemberSite | undefined {
  const named = isAny ? (begunAt ?? site) : site;
  const first = others.findIndex(({ id }) => id === named);
  const mayTurn = first === -1 || (isAny && begunAt === undefined);
  return others[(Math.max(first, 0) + (mayTurn ? failures : 0)) % others.length];
}
