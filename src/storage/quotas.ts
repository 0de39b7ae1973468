import { CREATOR_SETTING, creatorOf } from "../core/bucket-creator.ts";
import { type BucketQuota, decodeQuota, QUOTA_SETTING } from "../core/bucket-quota.ts";
import type { BucketName } from "../core/names.ts";
import { keyUsage } from "./key-usage.ts";
import { type LocalQuotas, NO_QUOTA, type Quotas } from "./local-quotas.ts";
import { type KeyName, nullVersion } from "./metadata/key-versions.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { OverQuota } from "./store.ts";
import { isNullSlotWrite } from "./versions.ts";

/** What quotas are judged by: rows as they are, and the quotas of this site. */
export type QuotaRows = { readonly view: RowReader; readonly quotas: LocalQuotas };

type Growth = {
  /** Size of what is written. */
  readonly bytes: number;
  /**
   * Whether it takes the place of the key's null version, whose size is then given back. When it is
   * left out, the bucket's versioning says so.
   */
  readonly nullSlot?: boolean;
};
type Change = { readonly bytes: number; readonly objects: number };

/**
 * Refuses a write after which its bucket, or all buckets of the access key that made it, would
 * exceed their quota. Judged in the commit over everything in line, so that no number of concurrent
 * writes gets past it. A write that adds nothing is accepted even where more is stored than the
 * quota allows.
 */
export function judgeQuota(
  { view, quotas }: QuotaRows,
  name: KeyName,
  growth: Growth,
): OverQuota | undefined {
  const settings = view.get(TABLES.bucket, name.bucket)?.settings;
  const setting = settings?.get(QUOTA_SETTING)?.value;
  // A site without quotas pays for these look-ups and no more.
  const isLocal = quotas.keys.all().size > 0 || quotas.buckets.all().size > 0;
  if (setting === undefined && !isLocal) return undefined;
  const nullSlot = growth.nullSlot ?? isNullSlotWrite(view, name.bucket);
  const replaced = nullSlot ? nullVersion(view, name) : undefined;
  const size = replaced?.kind === "object" ? replaced.row.object.size : undefined;
  const change = { bytes: growth.bytes - (size ?? 0), objects: size === undefined ? 1 : 0 };
  const ofBucket = quotas.buckets.all().get(name.bucket) ?? readSetting(setting);
  if (ofBucket !== undefined) {
    const over = judgeRoom(ofBucket, bucketUsage(view, name), change);
    if (over !== undefined) return { ...over, whose: "bucket" };
  }
  const creator = creatorOf(settings?.get(CREATOR_SETTING)?.value);
  const quota = creator === undefined ? undefined : quotas.keys.all().get(creator);
  if (creator === undefined || quota === undefined) return undefined;
  const over = judgeRoom(quota, keyUsage(view, creator), change);
  return over === undefined ? undefined : { ...over, whose: "creator" };
}

/**
 * Whether there is no room for an object of this size as clients see it now, so that its body can
 * be refused unread. The commit judges again.
 */
export function overQuota(rows: QuotaRows, name: KeyName, bytes: number): OverQuota | undefined {
  return judgeQuota(rows, name, { bytes });
}

/** The quotas of this site, as its operators see them. */
export function openQuotas({ view, quotas: { keys, buckets } }: QuotaRows): Quotas {
  const settingOf = (name: BucketName) =>
    readSetting(view.get(TABLES.bucket, name)?.settings.get(QUOTA_SETTING)?.value);
  return {
    ofKeys: () => keys.all(),
    putKey: (id, quota) => keys.put(id, quota),
    ofBucket: (name) => {
      const quota = buckets.all().get(name) ?? settingOf(name);
      return quota?.bytesMax === undefined && quota?.objectsMax === undefined ? undefined : quota;
    },
    // A quota that came with the log cannot be taken out of it at this site alone.
    putBucket: (name, quota) => {
      const hasSetting = view.get(TABLES.bucket, name)?.settings.get(QUOTA_SETTING)?.value;
      return buckets.put(name, quota ?? (hasSetting === undefined ? undefined : NO_QUOTA));
    },
  };
}

/** Earlier programs kept quotas of buckets in the log. */
function readSetting(value: Uint8Array | undefined): BucketQuota | undefined {
  return value === undefined ? undefined : decodeQuota(value);
}

function bucketUsage(view: RowReader, { bucket }: KeyName): Change {
  const usage = view.get(TABLES.usage, bucket);
  const objects = (usage?.objects ?? 0) + (usage?.noncurrent ?? 0);
  return { bytes: usage?.bytes ?? 0, objects };
}

function judgeRoom(
  quota: BucketQuota,
  used: Change,
  change: Change,
): Omit<OverQuota, "whose"> | undefined {
  const { bytesMax = Number.POSITIVE_INFINITY, objectsMax = Number.POSITIVE_INFINITY } = quota;
  if (change.bytes > 0 && used.bytes + change.bytes > bytesMax) {
    return { outcome: "over-quota", what: "bytes", most: bytesMax };
  }
  if (change.objects > 0 && used.objects + change.objects > objectsMax) {
    return { outcome: "over-quota", what: "objects", most: objectsMax };
  }
  return undefined;
}
