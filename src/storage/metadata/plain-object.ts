import { ALGORITHM_NUMBERS } from "../../core/checksum-codec.ts";
import { OBJECT_TAGS as TAG } from "../../core/object-codec.ts";

/** What a rebuild needs of an object that it does not decode. */
export type PlainObject = {
  size: number;
  inlineBytes: number;
  timeMs: number;
  /** Where the digest of the ETag stands. */
  etagAt: number;
  /** Where the CRC64NVME stands that is all it has of checksums; 0 when that is not so. */
  crc64At: number;
  /** Where the fields begin that a compact row keeps, without those from `gapAt` up to `gapEnd`. */
  restAt: number;
  gapAt: number;
  gapEnd: number;
};

const ETAG_PLAIN_BYTES = 17;
/** Form byte and digest, by the form of one plain checksum. */
const CHECKSUM_BYTES = [-1, 5, 5, 9, 21, 33] as const;
const CRC64 = ALGORITHM_NUMBERS.CRC64NVME;
const MORE = 0x80;

/** Taken over by every call: nobody keeps it. */
const found: PlainObject = {
  ...{ size: 0, inlineBytes: 0, timeMs: 0, etagAt: 0, crc64At: 0 },
  ...{ restAt: 0, gapAt: 0, gapEnd: 0 },
};

/**
 * Looks at an encoded object without decoding it. Gives what it says when it is in the usual form,
 * which decoding and encoding would give back byte for byte: an inline body, a plain ETag, texts
 * of ASCII. Undefined for all else, damage included: then the decoder has to see it.
 */
export function readPlainObject(bytes: Buffer, from: number, to: number): PlainObject | undefined {
  found.size = -1;
  found.inlineBytes = -1;
  found.timeMs = -1;
  found.etagAt = 0;
  found.crc64At = 0;
  found.gapAt = to;
  found.gapEnd = to;
  let last = 0;
  for (let at = from; at < to; ) {
    if (at + 2 > to) return undefined;
    const fieldAt = at;
    const tag = bytes[at] as number;
    let length = bytes[at + 1] as number;
    let value = at + 2;
    if (length >= MORE) {
      const high = bytes[value++] as number;
      if (high === 0 || high >= MORE) return undefined;
      length = (length & 0x7f) | (high << 7);
    }
    const end = value + length;
    if (tag <= last || tag >= MORE || end > to) return undefined;
    last = tag;
    at = end;
    switch (tag) {
      case TAG.size:
        found.size = plainVarint(bytes, value, end);
        break;
      case TAG.lastModified:
        found.timeMs = plainVarint(bytes, value, end);
        break;
      case TAG.etag:
        if (length !== ETAG_PLAIN_BYTES || bytes[value] !== 0) return undefined;
        found.etagAt = value + 1;
        break;
      case TAG.inline:
        found.inlineBytes = plainVarint(bytes, value, end);
        found.restAt = found.inlineBytes === found.size ? end : fieldAt;
        break;
      case TAG.system:
      case TAG.user:
      case TAG.tags:
        if (!arePlainPairs(bytes, value, end)) return undefined;
        break;
      case TAG.checksums:
        if (CHECKSUM_BYTES[bytes[value] as number] !== length) return undefined;
        if (bytes[value] !== CRC64) break;
        found.crc64At = value + 1;
        found.gapAt = fieldAt;
        found.gapEnd = end;
        break;
      case TAG.encryption:
        break;
      default:
        return undefined;
    }
  }
  const { size, inlineBytes, timeMs, etagAt } = found;
  return size >= 0 && inlineBytes >= 0 && timeMs >= 0 && etagAt > 0 ? found : undefined;
}

/** A varint in its shortest form that fills the field, or -1. */
export function plainVarint(bytes: Buffer, from: number, to: number): number {
  let value = 0;
  let scale = 1;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    value += (byte & 0x7f) * scale;
    if (byte < MORE) {
      const isShortest = byte !== 0 || at === from;
      return at + 1 === to && isShortest && Number.isSafeInteger(value) ? value : -1;
    }
    scale *= 0x80;
    if (scale > 0x1_0000_0000_0000) return -1;
  }
  return -1;
}

/** Whether the field holds pairs of texts of ASCII, each shorter than 128 bytes. */
function arePlainPairs(bytes: Buffer, from: number, to: number): boolean {
  let at = from;
  let texts = 0;
  while (at < to) {
    const length = bytes[at] as number;
    const end = at + 1 + length;
    if (length >= MORE || end > to) return false;
    while (++at < end) if ((bytes[at] as number) >= MORE) return false;
    texts += 1;
  }
  return texts > 0 && texts % 2 === 0;
}
