import { hlcMs } from "../../core/hlc.ts";
import type { LifecycleSubject } from "../../core/lifecycle.ts";
import type { StoredVersion } from "../store.ts";

/** What is known of a key from its newer versions. */
export type FoldState = {
  readonly key: string;
  /** How many noncurrent versions have passed. */
  readonly noncurrent: number;
  /** When the version that passed last came to stand there. */
  readonly successorMs: number;
};

/**
 * How a version stands among those of its key, in a walk over keys that shows the newest versions
 * first. A version is noncurrent since its successor was written, which for one that was renamed is
 * later than when it was made.
 *
 * @param isLast no older version of the key follows.
 */
export function foldVersion(
  before: FoldState | undefined,
  version: StoredVersion,
  isLast: boolean,
): { readonly subject: LifecycleSubject; readonly state: FoldState } {
  const { key, madeMs, writtenMs, what } = factsOf(version);
  if (before?.key !== key) {
    const standing = { kind: "current", madeMs, alone: isLast } as const;
    const state = { key, noncurrent: 0, successorMs: writtenMs };
    return { subject: { key, version: what, standing }, state };
  }
  const { successorMs, noncurrent } = before;
  const standing = { kind: "noncurrent", sinceMs: successorMs, newer: noncurrent } as const;
  const state = { key, noncurrent: noncurrent + 1, successorMs: writtenMs };
  return { subject: { key, version: what, standing }, state };
}

function factsOf(version: StoredVersion): {
  readonly key: string;
  readonly madeMs: number;
  readonly writtenMs: number;
  readonly what: LifecycleSubject["version"];
} {
  if (version.kind === "delete-marker") {
    const { key, deletedMs: madeMs } = version;
    return { key, madeMs, writtenMs: madeMs, what: { kind: "delete-marker" } };
  }
  const { key, record } = version.object;
  const { size, lastModifiedMs: madeMs, attributes } = record;
  const writtenMs = Math.max(madeMs, hlcMs(version.hlc));
  return { key, madeMs, writtenMs, what: { kind: "object", size, tags: attributes.tags } };
}
