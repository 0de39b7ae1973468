import { LayoutError } from "../../core/bytes.ts";
import { parseVersionId, type VersionId } from "../../core/names.ts";
import { decodeListing, type ObjectListing } from "../../core/object-listing.ts";
import { decodeCompactListing, readCompactSlot } from "./compact-row.ts";
import { OBJECT_ROW_HEAD_BYTES, readListedSlot } from "./object-row.ts";
import { STAMP_BYTES } from "./stamp.ts";
import { MARKER_KIND, OBJECT_KIND } from "./version-rows.ts";

/** What a listing shows of a version beside its key. */
export type VersionListing = {
  /** "null" is the one that was written without versioning. */
  readonly version: VersionId | "null";
} & (
  | { readonly kind: "object"; readonly listing: ObjectListing }
  | { readonly kind: "delete-marker"; readonly deletedMs: number }
);

const MARKER_BYTES = STAMP_BYTES + 4 + 1 + 8;
/** A row's bytes lie in memory that is read only, and an id needs some of them in another order. */
const id = Buffer.alloc(16);

/**
 * Reads what a listing shows straight from an encoded object row: a page reads a thousand of them,
 * and the id of a null version is never shown. Hot path.
 *
 * @param at offset of the row in `bytes`; it ends where they end.
 * @throws LayoutError as `decodeObjectRow` does.
 */
export function listObject(bytes: Buffer, at: number): VersionListing {
  if (bytes.length < at + OBJECT_ROW_HEAD_BYTES) throw new LayoutError("an object row is cut off");
  const version = readListedSlot(bytes, at) ? "null" : versionIdAt(bytes, at);
  return { kind: "object", version, listing: decodeListing(bytes, at + OBJECT_ROW_HEAD_BYTES) };
}

/** As `listObject`, of a row in the compact layout, in either table. Hot path. */
export function listCompact(bytes: Buffer, at: number): VersionListing {
  const { stamp, nullSlot } = readCompactSlot(bytes, at);
  const version = nullSlot ? "null" : versionIdAt(bytes, stamp);
  return { kind: "object", version, listing: decodeCompactListing(bytes, at) };
}

/** As `listObject`, of a row among the older versions and delete markers. Hot path. */
export function listVersion(bytes: Buffer, at: number): VersionListing {
  const kind = bytes[at];
  if (kind === OBJECT_KIND) return listObject(bytes, at + 1);
  if (kind !== MARKER_KIND) throw new LayoutError("unknown kind of version");
  const stamp = at + 1;
  if (bytes.length < stamp + MARKER_BYTES) throw new LayoutError("a delete marker is cut off");
  const isNull = bytes[stamp + STAMP_BYTES + 4] === 1;
  const deleted = stamp + STAMP_BYTES + 5;
  const deletedMs = bytes.readUInt32LE(deleted) + bytes.readUInt32LE(deleted + 4) * 0x1_0000_0000;
  return { kind: "delete-marker", version: isNull ? "null" : versionIdAt(bytes, stamp), deletedMs };
}

/** The id that a stamp stands for: its reading, highest byte first, and its origin. */
function versionIdAt(bytes: Buffer, stamp: number): VersionId {
  // Faster than the calls that copy so few bytes.
  for (let at = 0; at < 8; at++) {
    id[7 - at] = bytes[stamp + at] ?? 0;
    id[8 + at] = bytes[stamp + 8 + at] ?? 0;
  }
  const version = parseVersionId(id.toString("hex"));
  if (version === undefined) throw new LayoutError("not a version id");
  return version;
}
