import { LIMITS } from "../core/limits.ts";
import { OPERATION_LAYOUT as AT } from "../core/operation-codec.ts";
import { TAG } from "../core/operation-tags.ts";
import { isText, varintBytes } from "../core/tagged-fields.ts";
import { isTimeOfWrite } from "./metadata/compact-row.ts";
import { plainVarint } from "./metadata/plain-object.ts";

const MORE = 0x80;
const SLASH = 0x2f;
/** Clock reading and origin, in front of the sequence of a write that is named. */
const WRITE_ID_BYTES = 16;

/**
 * Finds the fields of a put or delete that is in the usual form, without decoding it. What it finds
 * is valid until the next `read`.
 */
export class PlainFields {
  bucketAt = 0;
  bucketEnd = 0;
  keyAt = 0;
  keyEnd = 0;
  /** Behind the first slash of the key; where the key begins when there is none. */
  folderEnd = 0;
  folderHash = 0;
  nullSlot = false;
  /** Of a put. */
  objectAt = 0;
  objectEnd = 0;
  /** Where the next field begins. */
  #at = 0;

  /**
   * Looks at the operation from `from` up to `to`. Undefined for everything that the decoder has to
   * see: other operations, other fields, damage.
   *
   * @param seen the field that says what its origin had received of others so far.
   */
  read(
    bytes: Buffer,
    { from, to }: { readonly from: number; readonly to: number },
    seen: Buffer | undefined,
  ): "put" | "delete" | undefined {
    const at = from + AT.fields;
    if (at + 8 > to || bytes.readUInt32LE(from + AT.fieldsBytes) !== to - at) return undefined;
    this.#at = at;
    // The first operation of a batch says what had been seen: here the same as all along.
    if (bytes[at] === AT.vector) {
      if (seen === undefined || !isAt(seen, bytes, at, at + seen.length)) return undefined;
      this.#at += seen.length;
    }
    if (!this.#readName(bytes, to)) return undefined;
    const kind = bytes[from + AT.kind];
    if (kind === AT.objectPut && this.#readObject(bytes, to)) {
      return this.#readPrior(bytes, to) ? "put" : undefined;
    }
    if (kind === AT.objectDelete && this.#readTime(bytes, from, to)) {
      return this.#readPrior(bytes, to) ? "delete" : undefined;
    }
    return undefined;
  }

  /** Bucket, key and slot. */
  #readName(bytes: Buffer, to: number): boolean {
    let at = this.#at;
    if (bytes[at] !== TAG.bucket) return false;
    this.bucketAt = at + 2;
    this.bucketEnd = at + 2 + (bytes[at + 1] as number);
    if (this.bucketEnd + 4 > to || bytes[this.bucketEnd] !== TAG.key) return false;
    const lengthAt = this.bucketEnd + 1;
    at = lengthAt;
    let length = bytes[at++] as number;
    if (length >= MORE) length = (length & 0x7f) | ((bytes[at++] as number) << 7);
    if (at - lengthAt !== varintBytes(length) || at + length + 2 > to) return false;
    this.keyAt = at;
    this.keyEnd = at + length;
    if (!this.#readKey(bytes)) return false;
    at += length;
    this.nullSlot = bytes[at] === TAG.nullSlot;
    if (this.nullSlot && bytes[at + 1] !== 0) return false;
    this.#at = this.nullSlot ? at + 2 : at;
    return true;
  }

  /** Looks at the key's bytes: whether they can be a key, and where its first slash is. */
  #readKey(bytes: Buffer): boolean {
    const from = this.keyAt;
    const to = this.keyEnd;
    if (from === to || to - from > LIMITS.keyBytesMax) return false;
    this.folderEnd = from;
    this.folderHash = 0;
    let isAscii = true;
    let hash = 0;
    for (let at = from; at < to; at++) {
      const byte = bytes[at] as number;
      if (byte === 0) return false;
      if (byte >= MORE) isAscii = false;
      if (this.folderEnd !== from) continue;
      hash = (Math.imul(hash, 31) + byte) | 0;
      if (byte !== SLASH) continue;
      this.folderEnd = at + 1;
      this.folderHash = hash;
    }
    return isAscii || isText(bytes.subarray(from, to));
  }

  #readObject(bytes: Buffer, to: number): boolean {
    let at = this.#at;
    if (at + 4 > to || bytes[at++] !== TAG.object) return false;
    let length = bytes[at++] as number;
    if (length >= MORE) length = (length & 0x7f) | ((bytes[at++] as number) << 7);
    if (length >= MORE * MORE || at + length > to) return false;
    this.objectAt = at;
    this.objectEnd = at + length;
    this.#at = this.objectEnd;
    return true;
  }

  /** When it was deleted: when that was written, as a tombstone in the usual form has it. */
  #readTime(bytes: Buffer, operation: number, to: number): boolean {
    const at = this.#at;
    const end = at + 2 + (bytes[at + 1] as number);
    if (bytes[at] !== TAG.time || end > to) return false;
    this.#at = end;
    return isTimeOfWrite(bytes, operation, plainVarint(bytes, at + 2, end));
  }

  /** The write that it takes the place of, where that is named: it changes nothing here. */
  #readPrior(bytes: Buffer, to: number): boolean {
    const at = this.#at;
    if (at === to) return true;
    if (bytes[at] !== TAG.write || at + 2 + (bytes[at + 1] as number) !== to) return false;
    const seqAt = at + 2 + WRITE_ID_BYTES;
    return seqAt < to && plainVarint(bytes, seqAt, to) >= 0;
  }
}

/** Whether `bytes` stand in `other` from `from` up to `to`; they are few. */
export function isAt(bytes: Buffer | undefined, other: Buffer, from: number, to: number): boolean {
  if (bytes?.length !== to - from) return false;
  for (let at = from; at < to; at++) if (bytes[at - from] !== other[at]) return false;
  return true;
}
