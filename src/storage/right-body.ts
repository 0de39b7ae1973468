import { toHex } from "../core/bytes.ts";
import { isPlainEtag } from "../core/checksum-codec.ts";
import type { ObjectRecord } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";

/**
 * Whether bytes from another site may be the small body of an object. The length of every object is
 * known. Its ETag is the MD5 of the bytes, unless it was uploaded or appended in parts (its ETag
 * has another form) or is encrypted (its key refuses wrong bytes when they are read): for those
 * only the length can be compared.
 */
export function mayBeBody(
  hash: Pick<Hash, "digest">,
  { body, etag, parts, encryption }: ObjectRecord,
  bytes: Uint8Array,
): boolean {
  if (body.kind !== "inline" || body.bytes !== bytes.length) return false;
  if (encryption !== undefined || parts.length > 0 || !isPlainEtag(etag)) return true;
  return toHex(hash.digest("MD5", bytes)) === etag;
}
