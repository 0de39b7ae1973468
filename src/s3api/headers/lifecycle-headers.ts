import {
  dueAbort,
  dueAction,
  type Lifecycle,
  type LifecycleSubject,
} from "../../core/lifecycle.ts";
import { LIFECYCLE_SETTING } from "../../core/lifecycle-codec.ts";
import type { BucketSettings, ObjectRecord } from "../../core/records.ts";
import { LIFECYCLE } from "../settings/lifecycle.ts";
import { formatHttpDate } from "./dates.ts";
import type { HeaderLines } from "./object-headers.ts";

type Described = Pick<ObjectRecord, "lastModifiedMs" | "size"> & {
  readonly attributes: Pick<ObjectRecord["attributes"], "tags">;
};

/**
 * Says when the current version of an object expires and by which rule, if one ever touches it.
 * Costs one look-up in a bucket without a lifecycle.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
 */
export function pushExpiration(
  lines: HeaderLines,
  settings: BucketSettings,
  key: string,
  { lastModifiedMs, size, attributes }: Described,
): void {
  const lifecycle = lifecycleOf(settings);
  if (lifecycle === undefined) return;
  const subject: LifecycleSubject = {
    key,
    version: { kind: "object", size, tags: attributes.tags },
    standing: { kind: "current", madeMs: lastModifiedMs, alone: false },
  };
  const due = dueAction(lifecycle.rules, subject);
  if (due === undefined) return;
  const date = formatHttpDate(due.dueMs);
  const rule = encodeURIComponent(due.ruleId);
  lines.push(["x-amz-expiration", `expiry-date="${date}", rule-id="${rule}"`]);
}

/**
 * Says when an upload in progress is aborted and by which rule, if one ever touches it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
 */
export function pushAbortDate(
  lines: HeaderLines,
  settings: BucketSettings,
  upload: { readonly key: string; readonly createdMs: number },
): void {
  const due = dueAbort(lifecycleOf(settings)?.rules ?? [], upload);
  if (due === undefined) return;
  lines.push(["x-amz-abort-date", formatHttpDate(due.dueMs)]);
  lines.push(["x-amz-abort-rule-id", encodeURIComponent(due.ruleId)]);
}

function lifecycleOf(settings: BucketSettings): Lifecycle | undefined {
  return settings.has(LIFECYCLE_SETTING) ? LIFECYCLE.of(settings) : undefined;
}
