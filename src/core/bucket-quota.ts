import { ByteReader, LayoutError } from "./bytes.ts";
import { FieldReader } from "./tagged-fields.ts";

/*
 * Quota of a bucket, the value of its setting "quota". Only read: quotas are local to a site now.
 *
 * | tag | value                                                                  |
 * | --- | ---------------------------------------------------------------------- |
 * | 1   | most bytes of all its objects and versions: varint                     |
 * | 3   | most objects and versions, delete markers not counted: varint          |
 *
 * A field that is left out is no limit; at least one is there.
 */
const TAG = { bytesMax: 1, objectsMax: 3 } as const;

/** Name of the bucket setting that `decodeQuota` reads. */
export const QUOTA_SETTING = "quota";

/** The most that a bucket may hold; undefined is no limit. */
export type BucketQuota = {
  readonly bytesMax: number | undefined;
  readonly objectsMax: number | undefined;
};

/**
 * Reads the value of the setting. Throws LayoutError, or StorageFault for unknown fields: a quota
 * is never passed over.
 */
export function decodeQuota(bytes: Uint8Array): BucketQuota {
  const fields = new FieldReader(new ByteReader(bytes), bytes.length);
  let bytesMax: number | undefined;
  let objectsMax: number | undefined;
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    switch (tag) {
      case TAG.bytesMax:
        bytesMax = fields.reader.varint();
        break;
      case TAG.objectsMax:
        objectsMax = fields.reader.varint();
        break;
      default:
        fields.passUnknown(tag);
    }
  }
  if (bytesMax === undefined && objectsMax === undefined) throw new LayoutError("an empty quota");
  return { bytesMax, objectsMax };
}
