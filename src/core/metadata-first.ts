import type { BucketSettings } from "./records.ts";

/** The bucket setting that says how the bytes of large objects come to other sites. */
export const REPLICATE_SETTING = "replicate";

/** The one value that it has: as text, in UTF-8. Without the setting bytes come before rows. */
export const METADATA_FIRST: Uint8Array = Buffer.from("metadata-first", "latin1");

/** Whether rows of a bucket are shown before their bytes are here. */
export function isMetadataFirst(settings: BucketSettings): boolean {
  const value = settings.get(REPLICATE_SETTING);
  return value !== undefined && Buffer.compare(value, METADATA_FIRST) === 0;
}
