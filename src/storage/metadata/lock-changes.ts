import { hasSeen, NOTHING_SEEN, sameDot } from "../../core/causality.ts";
import { hlcMs } from "../../core/hlc.ts";
import { laterStamp } from "../../core/lww.ts";
import type { ObjectLock, Retention } from "../../core/object-lock-state.ts";
import type { ObjectChange, Vector } from "../../core/records.ts";
import type { Stamp } from "./stamp.ts";

/** A change of a version's retention or legal hold, with what its origin had received. */
export type LockChange = {
  readonly stamp: Stamp;
  readonly home: number;
  readonly vector: Vector;
  readonly change: Extract<ObjectChange, { kind: "retention" | "legal-hold" }>;
};

/**
 * A lock voids deletes that did not know of it, even when they arrive after later changes which
 * did. So this many locks of each origin are remembered.
 */
const LOCKS_KEPT = 4;

/**
 * The lock changes that still count, with one more. These are: of retentions and of legal holds
 * those that no other one has seen (the last, and what was said concurrently elsewhere); the
 * longest compliance retention that the last retention did not outlive, for nobody may end that
 * before its time; and each origin's last locks.
 *
 * The result follows from the set of changes and not from their order: whoever sees a change has
 * seen what that one saw, and the rest are maxima.
 */
export function joinLocks(known: readonly LockChange[], next: LockChange): LockChange[] {
  const all = [...known.filter((one) => !sameDot(one.stamp, next.stamp)), next];
  const kept = new Set([...unseenLocks(all, "retention"), ...unseenLocks(all, "legal-hold")]);
  const compliance = longestCompliance(all);
  if (compliance !== undefined) kept.add(compliance);
  // Deletes that had not seen a lock are void for ever, even after the lock has been lifted.
  for (const one of lastLocks(all)) kept.add(one);
  return [...kept].sort(({ stamp: left }, { stamp: right }) => (laterStamp(left, right) ? 1 : -1));
}

/** Changes of one kind that none of the others has seen: those that count together. */
export function unseenLocks(
  all: readonly LockChange[],
  kind: LockChange["change"]["kind"],
): LockChange[] {
  const ofKind = all.filter(({ change }) => change.kind === kind);
  return ofKind.filter(({ stamp }) => {
    return !ofKind.some((other) => hasSeen({ ...other.stamp, vector: other.vector }, stamp));
  });
}

/** Whether a change puts a lock on a version. */
export function isLocking({ change }: LockChange): boolean {
  return change.kind === "retention" ? change.retention !== undefined : change.on;
}

/** The last changes of each origin that put a lock. */
function lastLocks(all: readonly LockChange[]): LockChange[] {
  const locks = all.filter(isLocking).sort((left, right) => right.stamp.seq - left.stamp.seq);
  const counts = new Map<string, number>();
  return locks.filter(({ stamp: { origin } }) => {
    const count = counts.get(origin) ?? 0;
    counts.set(origin, count + 1);
    return count < LOCKS_KEPT;
  });
}

function retentionOf({ change }: LockChange): Retention | undefined {
  return change.kind === "retention" ? change.retention : undefined;
}

/** The longest compliance retention that was still running when a retention was set last. */
function longestCompliance(all: readonly LockChange[]): LockChange | undefined {
  const lastMs = lastRetentionMs(all);
  let found: LockChange | undefined;
  for (const one of all) {
    const retention = retentionOf(one);
    if (retention?.mode !== "COMPLIANCE" || retention.untilMs <= lastMs) continue;
    const best = found === undefined ? undefined : retentionOf(found);
    const isLonger = best === undefined || retention.untilMs > best.untilMs;
    const isTie = best?.untilMs === retention.untilMs;
    if (isLonger || (isTie && found !== undefined && laterStamp(one.stamp, found.stamp))) {
      found = one;
    }
  }
  return found;
}

function lastRetentionMs(all: readonly LockChange[]): number {
  let last: Stamp | undefined;
  for (const { change, stamp } of all) {
    if (change.kind === "retention" && (last === undefined || laterStamp(stamp, last)))
      last = stamp;
  }
  return last === undefined ? 0 : hlcMs(last.hlc);
}

/**
 * The lock of a version after its changes: of concurrent retentions the stricter one, and a legal
 * hold that is on. A compliance retention is never ended by a change made before its end.
 */
export function lockAfter(
  base: ObjectLock | undefined,
  changes: readonly LockChange[],
): ObjectLock | undefined {
  const retentions = unseenLocks(changes, "retention");
  const holds = unseenLocks(changes, "legal-hold");
  if (retentions.length === 0 && holds.length === 0) return base;
  const held = holds.some(({ change }) => change.kind === "legal-hold" && change.on);
  const legalHold = holds.length === 0 ? (base?.legalHold ?? false) : held;
  if (retentions.length === 0) return { retention: base?.retention, legalHold };
  let retention: Retention | undefined;
  for (const one of retentions) retention = stricter(retention, retentionOf(one));
  const compliance = longestCompliance(changes);
  const before = base?.retention;
  const binds = before?.mode === "COMPLIANCE" && lastRetentionMs(changes) < before.untilMs;
  if (binds) retention = stricter(retention, before);
  if (compliance !== undefined) retention = stricter(retention, retentionOf(compliance));
  return { retention, legalHold };
}

function stricter(
  left: Retention | undefined,
  right: Retention | undefined,
): Retention | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  if (left.mode !== right.mode) return left.mode === "COMPLIANCE" ? left : right;
  return left.untilMs >= right.untilMs ? left : right;
}

/**
 * A change as a row keeps it. Its vector is empty when an older program wrote it, or when its
 * origin knew of no others.
 */
export function lockChange(
  at: { readonly stamp: Stamp; readonly home: number; readonly vector?: Vector | undefined },
  change: LockChange["change"],
): LockChange {
  return { stamp: at.stamp, home: at.home, vector: at.vector ?? NOTHING_SEEN, change };
}
