import { hlcMs } from "../../core/hlc.ts";
import type { Operation, OperationBody } from "../../core/records.ts";
import type { Stamp } from "./stamp.ts";
import type { TombstoneRow } from "./tombstone-row.ts";

/*
 * A delete of the null slot may be said again, by any site, where its mark may have been dropped
 * elsewhere (deletes-again.ts). It stands where it stood before, so it beats what the delete beat
 * and nothing that was written since.
 */

/** Whether an operation says a delete of the null slot again. */
export function isSaidAgain(body: OperationBody): boolean {
  return body.kind === "object-delete" && body.nullSlot && body.standsAt !== undefined;
}

/** Whether a tombstone is that of a delete which was said again, by the origin that it names. */
export function isOfDeleteAgain({ stamp, deletedMs }: Omit<TombstoneRow, "home">): boolean {
  return hlcMs(stamp.hlc) !== deletedMs;
}

/** Where a write of the null slot stands among others: its own stamp, unless it says otherwise. */
export function standingOf({ dot, hlc, body }: Pick<Operation, "dot" | "hlc" | "body">): Stamp {
  const { origin, seq } = dot;
  const standsAt = body.kind === "object-delete" ? body.standsAt : undefined;
  return { hlc: standsAt ?? hlc, origin, seq };
}
