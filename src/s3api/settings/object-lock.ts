import {
  OBJECT_LOCK_SETTING,
  VERSIONING_SETTING,
  versioningOf,
} from "../../core/bucket-versioning.ts";
import {
  type BucketLock,
  type DefaultRetention,
  decodeBucketLock,
  encodeBucketLock,
  LOCK_MODES,
  RETENTION_COUNT_MAX,
} from "../../core/object-lock.ts";
import type { BucketSettings } from "../../core/records.ts";
import { S3Error } from "../errors.ts";
import { childNamed, childText, requireKnownChildren, type XmlElement } from "../xml/reader.ts";
import type { XmlWriter } from "../xml/writer.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { requiredChild, requiredWord } from "./schema.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html */
export const OBJECT_LOCK = bucketSetting<BucketLock>({
  name: OBJECT_LOCK_SETTING,
  subresource: "object-lock",
  actions: { get: "GetBucketObjectLockConfiguration", put: "PutBucketObjectLockConfiguration" },
  document: {
    kind: "xml",
    root: "ObjectLockConfiguration",
    read: readConfiguration,
    write: writeConfiguration,
  },
  stored: { encode: encodeBucketLock, decode: decodeBucketLock },
  absent: { error: "ObjectLockConfigurationNotFoundError" },
  mustBeHashed: true,
  check: (_lock, others) => requireVersioned(others),
  refused: "InvalidBucketState",
});

/** What is overwritten without a version left behind cannot be locked. */
function requireVersioned(settings: BucketSettings): void {
  if (versioningOf(settings.get(VERSIONING_SETTING)) === "enabled") return;
  throw new S3Error("InvalidBucketState", {
    message: "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
  });
}

function readConfiguration(root: XmlElement): BucketLock {
  requireKnownChildren(root, ["ObjectLockEnabled", "Rule"]);
  requiredWord(root, "ObjectLockEnabled", ["Enabled"]);
  const rule = childNamed(root, "Rule");
  if (rule === undefined) return { defaultRetention: undefined };
  requireKnownChildren(rule, ["DefaultRetention"]);
  return { defaultRetention: readDefaultRetention(requiredChild(rule, "DefaultRetention")) };
}

function readDefaultRetention(element: XmlElement): DefaultRetention {
  requireKnownChildren(element, ["Mode", "Days", "Years"]);
  const mode = requiredWord(element, "Mode", LOCK_MODES);
  const days = readPeriod(element, "Days", RETENTION_COUNT_MAX.days);
  const years = readPeriod(element, "Years", RETENTION_COUNT_MAX.years);
  if (days !== undefined && years === undefined) return { mode, unit: "days", count: days };
  if (years !== undefined && days === undefined) return { mode, unit: "years", count: years };
  throw new S3Error("MalformedXML");
}

function readPeriod(element: XmlElement, name: string, max: number): number | undefined {
  const text = childText(element, name)?.trim();
  if (text === undefined) return undefined;
  if (!/^[+-]?\d{1,10}$/.test(text)) throw new S3Error("MalformedXML");
  const count = Number(text);
  if (count >= 1 && count <= max) return count;
  throw new S3Error("InvalidRetentionPeriod", {
    message:
      count < 1
        ? "Default retention period must be a positive integer value"
        : "Default retention period too large",
  });
}

function writeConfiguration(xml: XmlWriter, { defaultRetention }: BucketLock): void {
  xml.text("ObjectLockEnabled", "Enabled");
  if (defaultRetention === undefined) return;
  const { mode, unit, count } = defaultRetention;
  xml.open("Rule");
  xml.open("DefaultRetention");
  xml.text("Mode", mode);
  xml.text(unit === "days" ? "Days" : "Years", String(count));
  xml.close();
  xml.close();
}
