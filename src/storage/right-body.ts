import { toHex } from "../core/bytes.ts";
import { isPlainEtag } from "../core/checksum-codec.ts";
import type { ObjectRecord } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";

/**
 * Whether bytes that somebody else gives may be the small body of an object. Its length is known of
 * every object; its ETag is the MD5 of the bytes, of every object but one that was uploaded or
 * appended in parts (which has another form) or is encrypted (whose bytes are refused by their key
 * when they are read). Of those the length alone tells.
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
