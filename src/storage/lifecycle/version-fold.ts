import type { LifecycleSubject } from "../../core/lifecycle.ts";
import type { StoredVersion } from "../store.ts";

/** What is known of a key from its newer versions. */
export type FoldState = {
  readonly key: string;
  /** How many noncurrent versions have passed. */
  readonly noncurrent: number;
  /** When the version that passed last was made. */
  readonly successorMs: number;
};

/**
 * How a version stands among those of its key, in a walk over keys that shows the newest versions
 * first. A version is noncurrent since its successor was made.
 *
 * @param isLast no older version of the key follows.
 */
export function foldVersion(
  before: FoldState | undefined,
  version: StoredVersion,
  isLast: boolean,
): { readonly subject: LifecycleSubject; readonly state: FoldState } {
  const { key, madeMs, what } = factsOf(version);
  if (before?.key !== key) {
    const standing = { kind: "current", madeMs, alone: isLast } as const;
    const state = { key, noncurrent: 0, successorMs: madeMs };
    return { subject: { key, version: what, standing }, state };
  }
  const { successorMs, noncurrent } = before;
  const standing = { kind: "noncurrent", sinceMs: successorMs, newer: noncurrent } as const;
  const state = { key, noncurrent: noncurrent + 1, successorMs: madeMs };
  return { subject: { key, version: what, standing }, state };
}

function factsOf(version: StoredVersion): {
  readonly key: string;
  readonly madeMs: number;
  readonly what: LifecycleSubject["version"];
} {
  if (version.kind === "delete-marker") {
    const { key, deletedMs: madeMs } = version;
    return { key, madeMs, what: { kind: "delete-marker" } };
  }
  const { key, record } = version.object;
  const { size, lastModifiedMs: madeMs, attributes } = record;
  return { key, madeMs, what: { kind: "object", size, tags: attributes.tags } };
}
