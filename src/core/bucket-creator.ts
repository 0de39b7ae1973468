import { type AccessKeyId, parseAccessKeyId } from "./names.ts";

/**
 * The bucket setting that names the access key which made the bucket; buckets of the root key have
 * none.
 */
export const CREATOR_SETTING = "creator";

/** The access key that a value of the setting names. */
export function creatorOf(value: Uint8Array | undefined): AccessKeyId | undefined {
  return value === undefined ? undefined : parseAccessKeyId(Buffer.from(value).toString());
}
