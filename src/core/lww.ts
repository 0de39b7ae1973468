import type { Hlc } from "./hlc.ts";
import type { OriginId } from "./names.ts";

/**
 * Decides which of two writes of one thing survives, at every site, in any order of arrival: the
 * later (hlc, origin). A tombstone is a write like any other.
 * Equal means the same write seen twice.
 *
 * @returns true when `left` is later than `right`.
 */
export function laterStamp(
  left: { readonly hlc: Hlc; readonly origin: OriginId },
  right: { readonly hlc: Hlc; readonly origin: OriginId },
): boolean {
  return left.hlc === right.hlc ? left.origin > right.origin : left.hlc > right.hlc;
}
