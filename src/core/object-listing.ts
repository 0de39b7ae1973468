import { ByteReader, LayoutError } from "./bytes.ts";
import { ALGORITHMS, COMPOSITE } from "./checksum-codec.ts";
import { decodeObject, OBJECT_TAGS } from "./object-codec.ts";
import type { ChecksumAlgorithm, ObjectRecord, StoredChecksum } from "./records.ts";

/** What a listing shows of an object. */
export type ObjectListing = {
  readonly size: number;
  readonly etag: string;
  readonly lastModifiedMs: number;
  readonly storageClass: string | undefined;
  readonly checksumAlgorithms: readonly ChecksumAlgorithm[];
  readonly checksumType: StoredChecksum["type"] | undefined;
};

const NO_ALGORITHMS: readonly ChecksumAlgorithm[] = [];
/** For each algorithm the list of it alone, shared by the thousand objects of a page. */
const SINGLE = ALGORITHMS.map((algorithm) => (algorithm === undefined ? [] : [algorithm]));
/** Form byte and digest: a field of this length holds one plain checksum. */
const SINGLE_BYTES = [0, 5, 5, 9, 21, 33] as const;
/** Bytes of an ETag that is an MD5, and of its field, which has a byte in front that says so. */
export const ETAG_BYTES = 16;
const ETAG_PLAIN_BYTES = 1 + ETAG_BYTES;

/**
 * What a listing shows of an object in the usual form, in fields that the next object overwrites.
 */
export class ListingFields {
  size = 0;
  lastModifiedMs = 0;
  /** Where the sixteen bytes of its ETag begin. */
  etagAt = 0;
  /** For `checksumOfForm`; 0 without a checksum. */
  checksumForm = 0;

  /**
   * Call before reading the fields of another object: negative numbers stand for missing fields.
   */
  clear(): void {
    this.size = -1;
    this.lastModifiedMs = -1;
    this.etagAt = 0;
    this.checksumForm = 0;
  }
}

/** The checksum that a form byte stands for. */
export function checksumOfForm(
  form: number,
): Pick<ObjectListing, "checksumAlgorithms" | "checksumType"> {
  return { checksumAlgorithms: SINGLE[form & 0x0f] ?? NO_ALGORITHMS, checksumType: typeOf(form) };
}

/**
 * Reads only what a listing shows, straight from an encoded object: a page reads a thousand of
 * them. False for what is not in the usual form, which `decodeListing` reads too. Hot path.
 *
 * @param from offset of the object in `bytes`.
 * @param end offset behind it.
 * @throws LayoutError as `decodeObject` does.
 */
export function readListing(
  bytes: Uint8Array,
  from: number,
  end: number,
  into: ListingFields,
): boolean {
  into.clear();
  return readListingRest(bytes, from, end, into);
}

/** As `readListing`, of the fields behind a front, which `into` already tells of. Hot path. */
export function readListingRest(
  bytes: Uint8Array,
  from: number,
  end: number,
  into: ListingFields,
): boolean {
  let { size, lastModifiedMs, etagAt, checksumForm: form } = into;
  let at = from;
  while (at < end) {
    const tag = bytes[at] ?? 0;
    const length = bytes[at + 1] ?? 0;
    const value = at + 2;
    // Longer tags and fields are rare here; manifests of large objects are passed over.
    if (tag >= 0x80 || (length >= 0x80 && tag !== OBJECT_TAGS.manifests)) return false;
    if (tag === OBJECT_TAGS.size) size = varintAt(bytes, value);
    else if (tag === OBJECT_TAGS.lastModified) lastModifiedMs = varintAt(bytes, value);
    else if (tag === OBJECT_TAGS.etag) {
      if (length !== ETAG_PLAIN_BYTES || bytes[value] !== 0) return false;
      etagAt = value + 1;
    } else if (tag === OBJECT_TAGS.storageClass) return false;
    else if (tag === OBJECT_TAGS.checksums) {
      form = bytes[value] ?? 0;
      if (SINGLE_BYTES[form & 0x0f] !== length) return false;
    }
    at = length >= 0x80 ? afterLongField(bytes, at + 1) : value + length;
  }
  if (at !== end || size < 0 || lastModifiedMs < 0 || etagAt === 0) {
    throw new LayoutError("an object lacks what a listing shows");
  }
  into.size = size;
  into.lastModifiedMs = lastModifiedMs;
  into.etagAt = etagAt;
  into.checksumForm = form;
  return true;
}

const fields = new ListingFields();

/**
 * What a listing shows of an encoded object.
 *
 * @param from offset of the object in `bytes`; it ends where they end.
 * @throws LayoutError as `decodeObject` does.
 */
export function decodeListing(bytes: Buffer, from: number): ObjectListing {
  if (!readListing(bytes, from, bytes.length, fields)) return slowListing(bytes, from);
  return listingOfFields(bytes, fields);
}

/** What a listing shows of an object in the usual form, as an object of its own. */
export function listingOfFields(bytes: Buffer, found: ListingFields): ObjectListing {
  const { size, lastModifiedMs, etagAt, checksumForm } = found;
  return {
    size,
    etag: bytes.toString("hex", etagAt, etagAt + ETAG_BYTES),
    lastModifiedMs,
    storageClass: undefined,
    ...checksumOfForm(checksumForm),
  };
}

function typeOf(form: number): StoredChecksum["type"] | undefined {
  if (form === 0) return undefined;
  return (form & COMPOSITE) === 0 ? "FULL_OBJECT" : "COMPOSITE";
}

function slowListing(bytes: Buffer, from: number): ObjectListing {
  return listingOf(decodeObject(bytes.subarray(from)));
}

/** What a listing shows of an object that has been read whole. */
export function listingOf(object: ObjectRecord): ObjectListing {
  const { size, etag, lastModifiedMs, attributes, checksums } = object;
  return {
    size,
    etag,
    lastModifiedMs,
    storageClass: attributes.storageClass,
    checksumAlgorithms: checksums.map(({ algorithm }) => algorithm),
    checksumType: checksums[0]?.type,
  };
}

/**
 * Reads a varint.
 *
 * @throws LayoutError for one that is too long, or not whole.
 */
export function varintAt(bytes: Uint8Array, at: number): number {
  let value = 0;
  let scale = 1;
  for (let index = at; ; index++) {
    const byte = bytes[index];
    if (byte === undefined || scale > 0x2_0000_0000_0000) throw new LayoutError("varint too long");
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 0x80;
  }
}

function afterLongField(bytes: Uint8Array, lengthAt: number): number {
  const reader = new ByteReader(bytes, lengthAt);
  return reader.varint() + reader.offset;
}
