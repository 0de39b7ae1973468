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
/** A list of one algorithm, so that a page of a thousand objects shares it. */
const SINGLE = ALGORITHMS.map((algorithm) => (algorithm === undefined ? [] : [algorithm]));
/** Form byte and digest: a field of this length holds one plain checksum. */
const SINGLE_BYTES = [0, 5, 5, 9, 21, 33] as const;
const ETAG_PLAIN_BYTES = 17;

/**
 * Reads only what a listing shows, straight from an encoded object: a page reads a thousand of
 * them. Whatever is not in the usual form is left to the full decoder. Hot path.
 *
 * @param from offset of the object in `bytes`; it ends where they end.
 * @throws LayoutError as `decodeObject` does.
 */
export function decodeListing(bytes: Buffer, from: number): ObjectListing {
  const end = bytes.length;
  const found = { size: -1, lastModifiedMs: -1, etag: "", form: 0, storageClass: undefined };
  let at = from;
  while (at < end) {
    const tag = bytes[at] ?? 0;
    const length = bytes[at + 1] ?? 0;
    const value = at + 2;
    // Longer tags and fields are rare here; manifests of large objects are passed over.
    if (tag >= 0x80 || (length >= 0x80 && tag !== OBJECT_TAGS.manifests)) {
      return slowListing(bytes, from);
    }
    if (tag === OBJECT_TAGS.size) found.size = varintAt(bytes, value);
    else if (tag === OBJECT_TAGS.lastModified) found.lastModifiedMs = varintAt(bytes, value);
    else if (tag === OBJECT_TAGS.etag) {
      if (length !== ETAG_PLAIN_BYTES || bytes[value] !== 0) return slowListing(bytes, from);
      found.etag = bytes.toString("hex", value + 1, value + ETAG_PLAIN_BYTES);
    } else if (tag === OBJECT_TAGS.storageClass) return slowListing(bytes, from);
    else if (tag === OBJECT_TAGS.checksums) {
      found.form = bytes[value] ?? 0;
      if (SINGLE_BYTES[found.form & 0x0f] !== length) return slowListing(bytes, from);
    }
    at = length >= 0x80 ? afterLongField(bytes, at + 1) : value + length;
  }
  if (at !== end || found.size < 0 || found.lastModifiedMs < 0 || found.etag === "") {
    throw new LayoutError("an object lacks what a listing shows");
  }
  return {
    size: found.size,
    etag: found.etag,
    lastModifiedMs: found.lastModifiedMs,
    storageClass: found.storageClass,
    checksumAlgorithms: SINGLE[found.form & 0x0f] ?? NO_ALGORITHMS,
    checksumType: typeOf(found.form),
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

function varintAt(bytes: Buffer, at: number): number {
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

function afterLongField(bytes: Buffer, lengthAt: number): number {
  const reader = new ByteReader(bytes, lengthAt);
  return reader.varint() + reader.offset;
}
