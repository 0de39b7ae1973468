import type { Dot, Operation, Vector } from "./records.ts";

/** The vector of an operation whose origin had received nothing of others. */
export const NOTHING_SEEN: Vector = new Map();

/**
 * What an operation's origin had received of other origins when it wrote the operation: the vector
 * that runs along the origin's log, updated by the operation's own entries. A full vector stands
 * for itself.
 *
 * @param running the effective vector of the origin's operation before this one.
 */
export function effectiveVector(running: Vector, stated: Operation["vector"]): Vector {
  if (stated.full) return stated.entries;
  if (stated.entries.size === 0) return running;
  return new Map([...running, ...stated.entries]);
}

/** A change with what its origin had received: enough to tell what it knew of another one. */
export type Witness = Dot & { readonly vector: Vector };

/**
 * Whether a change was made with knowledge of another: it is later in the log of the same origin,
 * or its origin had received the other. Two changes that have not seen each other are concurrent.
 */
export function hasSeen(witness: Witness, dot: Dot): boolean {
  if (witness.origin === dot.origin) return dot.seq < witness.seq;
  return covers(witness.vector, dot);
}

/** Whether a vector reaches a position in an origin's log. */
export function covers(vector: Vector, { origin, seq }: Dot): boolean {
  return (vector.get(origin) ?? 0) >= seq;
}

/**
 * Adds a change to a set of changes of which none has seen another. Those it has seen are removed;
 * when one of them has seen it, nothing changes. Because whoever sees a change has seen all that it
 * saw, the outcome follows from the set of changes and not from their order of arrival.
 */
export function addUnseen<One extends Witness>(known: readonly One[], next: One): readonly One[] {
  const isThere = known.some((one) => hasSeen(one, next) || sameDot(one, next));
  if (isThere) return known;
  const left = known.filter((one) => !hasSeen(next, one));
  return [...left, next].sort((one, other) =>
    one.origin === other.origin ? one.seq - other.seq : one.origin < other.origin ? -1 : 1,
  );
}

/** Whether two dots are those of one operation. */
export function sameDot(left: Dot, right: Dot): boolean {
  return left.origin === right.origin && left.seq === right.seq;
}

/**
 * The vector that an operation states: everything, or what changed since the operation before it.
 */
export function statedVector(received: Vector, before: Vector | undefined): Operation["vector"] {
  if (before === undefined) return { full: true, entries: received };
  if (before === received) return { full: false, entries: NOTHING_SEEN };
  const changed = [...received].filter(([origin, seq]) => before.get(origin) !== seq);
  return { full: false, entries: new Map(changed) };
}
