import { covers } from "../core/causality.ts";
import { hlcMs } from "../core/hlc.ts";
import type { SiteId } from "../core/names.ts";
import type { Dot, Vector } from "../core/records.ts";
import type { MemberSite } from "../core/site-record.ts";
import { isAwaited } from "./acknowledgements.ts";
import { TABLES } from "./metadata/rows.ts";
import { lastDelete, type VoidedRow } from "./metadata/voided-rows.ts";
import { listSites } from "./sites.ts";
import type { StoreParts } from "./store-parts.ts";

/** Who this site is, and what time it is. */
export type KeepingDeps = {
  readonly parts: StoreParts;
  readonly siteId: SiteId;
  readonly nowMs: number;
};

/**
 * Judges whether a deleted version need not be kept any more, because no lock can arrive that was
 * put on it concurrently with the delete. That is so when every other site has applied the delete
 * and everything that they had written by then is here, and in any case after the retention.
 */
export function createKeeping({ parts, siteId, nowMs }: KeepingDeps): (row: VoidedRow) => boolean {
  const { conflictMs, peerMs } = parts.timeBounds;
  const others = listSites(parts).filter(({ id, state }) => id !== siteId && state === "active");
  const told = others.map((member) => ({
    member,
    position: parts.acknowledgements.position(member.id),
  }));
  const settled = told.map(({ member, position }) => {
    if (position === undefined) return undefined;
    if (!isAwaited(position, nowMs, peerMs)) return () => true;
    if (!hasAllOf(parts, member, position.applied)) return undefined;
    return (dot: Dot) => covers(position.applied, dot);
  });
  return (row) => {
    const last = lastDelete(row);
    if (last === undefined) return false;
    if (nowMs - hlcMs(last.hlc) > conflictMs) return true;
    const isKnown = (one: Dot): boolean => settled.every((knows) => knows?.(one) === true);
    return settled.length > 0 && row.deletes.every(isKnown);
  };
}

/** Whether everything that a site had written when it told this position has been applied here. */
function hasAllOf({ index }: StoreParts, { origins }: MemberSite, told: Vector): boolean {
  return origins.every((origin) => {
    const seq = told.get(origin) ?? 0;
    if (seq === 0) return true;
    const here = index.get(TABLES.originHead, origin)?.seq ?? 0;
    return here >= seq && index.rows(TABLES.parked, origin, `${origin}~`).length === 0;
  });
}
