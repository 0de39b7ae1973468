import type { Store } from "../storage/store.ts";
import { S3Error } from "./errors.ts";
import { slowDown } from "./guard/request-guard.ts";

/*
 * While a site takes over all rows of another one, what it does not find may still be on its way:
 * it must not say that there is nothing. Who asks is told to come again. A site that had data of
 * its own, and merges that of one which joined, is as whole meanwhile as it was before.
 */

const AGAIN_MS = 5000;
const MISSING: ReadonlySet<string> = new Set(["NoSuchKey", "NoSuchBucket", "NoSuchVersion"]);
const LISTS: ReadonlySet<string> = new Set([
  "ListBuckets",
  "ListObjects",
  "ListObjectsV2",
  "ListObjectVersions",
]);

type Rows = Pick<Store, "rows">;

/** Replaces a failure while the site is incomplete: what was not found may still be on its way. */
export function whileIncomplete({ rows }: Rows, failure: unknown): unknown {
  if (!(failure instanceof S3Error) || !MISSING.has(failure.code)) return failure;
  return isIncomplete({ rows }) ? slowDown(AGAIN_MS) : failure;
}

/**
 * What a caller is told who must not hear whether something is there: while the site is incomplete
 * that it is absent here says nothing, and who may read it can come again.
 */
export function hiddenAbsence({ store }: { readonly store: Rows }): S3Error {
  return isIncomplete(store) ? slowDown(AGAIN_MS) : new S3Error("AccessDenied");
}

/** Refuses listings while the site is incomplete. */
export function requireComplete({ rows }: Rows, operation: string): void {
  if (LISTS.has(operation) && isIncomplete({ rows })) throw slowDown(AGAIN_MS);
}

/**
 * What a caller is told whose change would have no effect yet: what it is about came as a row, also
 * into a site that is whole, and the log behind the rows has still to come.
 */
export function untilLogHasCome(): S3Error {
  return slowDown(AGAIN_MS);
}

function isIncomplete({ rows }: Rows): boolean {
  const bootstrap = rows.bootstrap();
  return bootstrap !== undefined && bootstrap.merges !== true;
}
