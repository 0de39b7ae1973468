import { asBuffer, LayoutError } from "../../core/bytes.ts";
import { crc32OfRange } from "../../core/crc32.ts";
import {
  decodeListing,
  type ListingFields,
  type ObjectListing,
  readListing,
} from "../../core/object-listing.ts";
import { decodeCompactListing, readCompactListing } from "./compact-row.ts";
import { OBJECT_ROW_HEAD_BYTES } from "./object-row.ts";
import { asDamage, COMPACT_FORMAT, formatOf, TABLES, VALUE_HEADER_BYTES } from "./rows.ts";

const OBJECT_OFFSET = VALUE_HEADER_BYTES + OBJECT_ROW_HEAD_BYTES;

/**
 * Reads what a listing shows from the value of an object's row, which ends at `end` of `value`.
 * False for what must be decoded whole, by `decodeListingRow`. Hot path.
 *
 * @throws StorageFault "corrupt" as `decodeRow` does.
 */
export function readListingRow(value: Uint8Array, end: number, into: ListingFields): boolean {
  try {
    const format = formatOf(value, end);
    const stored =
      (value[1] ?? 0) | ((value[2] ?? 0) << 8) | ((value[3] ?? 0) << 16) | ((value[4] ?? 0) << 24);
    if (crc32OfRange(value, VALUE_HEADER_BYTES, end) !== stored >>> 0) {
      throw new LayoutError("checksum does not match");
    }
    return format === COMPACT_FORMAT
      ? readCompactListing(value, VALUE_HEADER_BYTES, end, into)
      : readListing(value, OBJECT_OFFSET, end, into);
  } catch (cause) {
    throw asDamage(cause, TABLES.object);
  }
}

/**
 * As `readListingRow`, for every object; the checksum has been found right.
 *
 * @throws StorageFault "corrupt" as `decodeRow` does.
 */
export function decodeListingRow(value: Uint8Array): ObjectListing {
  try {
    return formatOf(value, value.length) === COMPACT_FORMAT
      ? decodeCompactListing(value, VALUE_HEADER_BYTES)
      : decodeListing(asBuffer(value), OBJECT_OFFSET);
  } catch (cause) {
    throw asDamage(cause, TABLES.object);
  }
}
