import type { DueAction } from "../../core/lifecycle.ts";
import type { StoredVersion } from "../store.ts";

/**
 * From when on (Unix milliseconds) something that is due can be done: a lock keeps a version from
 * being removed until it ends, a legal hold for as long as it is on (Infinity). Delete markers can
 * be put on anything.
 */
export function possibleFromMs(due: DueAction, version: StoredVersion): number {
  if (due.action === "expire" || version.kind === "delete-marker") return due.dueMs;
  const { lock } = version.object.record;
  if (lock?.legalHold === true) return Number.POSITIVE_INFINITY;
  return Math.max(due.dueMs, lock?.retention?.untilMs ?? 0);
}
