import { z } from "zod";
import { LIMITS } from "../core/limits.ts";
import { parseBucketName } from "../core/names.ts";
import type { Store, StoredObject } from "../storage/store.ts";

/** Which conflicts are asked for; what stands in a query is text. */
export const CONFLICTS_WISH = z.strictObject({
  bucket: z.string().optional(),
  after: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(LIMITS.conflictsPageMax).default(100),
});
type Wish = z.infer<typeof CONFLICTS_WISH>;

/** A page of conflicts as JSON; undefined when the bucket's name is none. */
export function listConflicts(
  store: Pick<Store, "conflicts" | "object">,
  { bucket, after, limit }: Wish,
): Record<string, unknown> | undefined {
  const name = bucket === undefined ? undefined : parseBucketName(bucket);
  if (bucket !== undefined && name === undefined) return undefined;
  const from = after === undefined ? undefined : Buffer.from(after, "base64url").toString("utf8");
  const { conflicts, next } = store.conflicts.list(name, from, limit);
  const cursor = next === undefined ? undefined : Buffer.from(next, "utf8").toString("base64url");
  return {
    conflicts: conflicts.map((conflict) => conflictFacts(store, conflict)),
    ...(cursor === undefined ? {} : { next: cursor }),
  };
}

/** A conflict, and what stands in its place now. */
export function conflictFacts(
  store: Pick<Store, "object">,
  conflict: StoredObject,
): Record<string, unknown> {
  const { bucket, key, version } = conflict;
  const current = store.object(bucket, key);
  return {
    ...{ bucket, key, version, ...objectFacts(conflict) },
    current: current === undefined ? "deleted" : objectFacts(current),
  };
}

function objectFacts({ record }: StoredObject): Record<string, unknown> {
  const { size, etag, lastModifiedMs } = record;
  return { size, etag, last_modified: new Date(lastModifiedMs).toISOString() };
}
