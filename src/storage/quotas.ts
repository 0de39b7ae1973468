import { decodeQuota, QUOTA_SETTING } from "../core/bucket-quota.ts";
import type { BucketName } from "../core/names.ts";
import { type KeyName, nullVersion } from "./metadata/key-versions.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { OverQuota } from "./store.ts";
import { isNullSlotWrite } from "./versions.ts";

type Growth = {
  /** Size of what is written. */
  readonly bytes: number;
  /** Whether it takes the place of the key's null version, whose size is then given back. */
  readonly nullSlot: boolean;
};

/**
 * Refuses a write after which its bucket would hold more than its quota. Judged in the commit over
 * everything ahead in line, so that no number of writes at once gets past it. A write that makes
 * nothing grow is let through in a bucket that is over its quota already.
 */
export function judgeQuota(view: RowReader, name: KeyName, growth: Growth): OverQuota | undefined {
  const setting = view.get(TABLES.bucket, name.bucket)?.settings.get(QUOTA_SETTING)?.value;
  if (setting === undefined) return undefined;
  const replaced = growth.nullSlot ? nullVersion(view, name) : undefined;
  const size = replaced?.kind === "object" ? replaced.row.object.size : undefined;
  const bytes = growth.bytes - (size ?? 0);
  return judgeRoom(view, name.bucket, setting, { bytes, objects: size === undefined ? 1 : 0 });
}

/**
 * Whether an object of so many bytes has no room in a bucket as clients see it now: for refusing a
 * body before it is read. The commit judges again.
 */
export function overQuota(index: RowReader, name: KeyName, bytes: number): OverQuota | undefined {
  return judgeQuota(index, name, { bytes, nullSlot: isNullSlotWrite(index, name.bucket) });
}

function judgeRoom(
  view: RowReader,
  bucket: BucketName,
  setting: Uint8Array,
  growth: { readonly bytes: number; readonly objects: number },
): OverQuota | undefined {
  const { bytesMax = Number.POSITIVE_INFINITY, objectsMax = Number.POSITIVE_INFINITY } =
    decodeQuota(setting);
  const usage = view.get(TABLES.usage, bucket);
  const bytes = (usage?.bytes ?? 0) + growth.bytes;
  if (growth.bytes > 0 && bytes > bytesMax) {
    return { outcome: "over-quota", what: "bytes", most: bytesMax };
  }
  const objects = (usage?.objects ?? 0) + (usage?.noncurrent ?? 0) + growth.objects;
  if (growth.objects > 0 && objects > objectsMax) {
    return { outcome: "over-quota", what: "objects", most: objectsMax };
  }
  return undefined;
}
