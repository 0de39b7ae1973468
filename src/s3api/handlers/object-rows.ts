import { checksumOfForm, ETAG_BYTES } from "../../core/object-listing.ts";
import type { ListedRow } from "../../storage/store.ts";
import { ISO_DATE_CHARS, writeIsoDate } from "../headers/dates.ts";
import { keyText } from "../list/object-names.ts";
import type { NameEncoding } from "../list/wish.ts";
import { escapeXml } from "../xml/writer.ts";
import { checksumElements, classElements, listingElements } from "./listing-xml.ts";

const OPENING = Buffer.from("<Contents><Key>");
const CLOSING = "</Contents>";
const BEFORE_DATE = "</Key><LastModified>";
const BEFORE_ETAG = "</LastModified><ETag>&quot;";
const ETAG_CHARS = 2 * ETAG_BYTES;
const DATE_AT = BEFORE_DATE.length;
const ETAG_AT = DATE_AT + ISO_DATE_CHARS + BEFORE_ETAG.length;

/** Left free for what stands in front of the rows, so that it need not be copied together. */
const HEAD_ROOM = 4096;
/** A page of a thousand objects takes about 350 KB. */
const BYTES_AT_FIRST = 128 * 1024;
const BYTES_EXPECTED_MAX = 1024 * 1024;
/** A key of 1,024 bytes, each of them written as six, and all that stands around it. */
const ROW_BYTES_MAX = 8 * 1024;
/** About what the last page took: growing copies, and touches fresh memory. */
let expectedBytes = BYTES_AT_FIRST;

const HEX_DIGITS = Buffer.from("0123456789abcdef");
const ZERO = 0x30;
/** Up to here numbers are taken apart in 32 bits. */
const INT_MAX = 0x7fff_ffff;

/**
 * Writes the `Contents` of a listing as bytes, from the bytes of rows: a page has a thousand, and a
 * text for each field of each would cost several times what they say. Hot path.
 */
export class ObjectRows {
  readonly #encoding: NameEncoding;
  readonly #owner: string;
  /** What stands between key and size, by form of the checksum; filled in anew for each row. */
  readonly #middles: Buffer[] = [];
  readonly #closing: Buffer;
  #bytes: Buffer = Buffer.allocUnsafeSlow(expectedBytes);
  #used = HEAD_ROOM;

  /** @param owner an element already, or nothing. */
  constructor(encoding: NameEncoding, owner: string) {
    this.#encoding = encoding;
    this.#owner = owner;
    this.#closing = Buffer.from(`</Size>${owner}${classElements(undefined)}${CLOSING}`);
  }

  write(row: ListedRow): void {
    if (this.#used + ROW_BYTES_MAX + this.#owner.length * 3 > this.#bytes.length) this.#grow();
    this.#put(OPENING);
    this.#writeKey(row);
    if (row.unusual !== undefined) {
      const elements = listingElements(row.unusual, this.#owner);
      this.#used += this.#bytes.write(`</Key>${elements}${CLOSING}`, this.#used);
      return;
    }
    const { size, etagAt, checksumForm } = row.fields;
    this.#writeMiddle(row, checksumForm, etagAt);
    this.#writeNumber(size);
    this.#put(this.#closing);
  }

  /** The rows between two texts; the memory is the caller's now. */
  finish(before: string, after: string): Uint8Array {
    const headBytes = Buffer.byteLength(before);
    const needed = this.#used + after.length * 3;
    if (needed > this.#bytes.length) this.#grow(needed);
    const end = this.#used + this.#bytes.write(after, this.#used);
    expectedBytes = Math.min(Math.max(end + 16_384, BYTES_AT_FIRST), BYTES_EXPECTED_MAX);
    if (headBytes > HEAD_ROOM) {
      return Buffer.concat([Buffer.from(before), this.#bytes.subarray(HEAD_ROOM, end)]);
    }
    const start = HEAD_ROOM - headBytes;
    this.#bytes.write(before, start);
    return this.#bytes.subarray(start, end);
  }

  #put(piece: Uint8Array): void {
    this.#bytes.set(piece, this.#used);
    this.#used += piece.length;
  }

  #writeKey(row: ListedRow): void {
    const { key, keyStart, keyEnd } = row;
    const bytes = this.#bytes;
    const plain = this.#encoding.plainBytes;
    let to = this.#used;
    for (let at = keyStart; at < keyEnd; at++) {
      const byte = key[at] as number;
      if (plain[byte] === 0) {
        const text = escapeXml(this.#encoding.encode(keyText(row)));
        this.#used += bytes.write(text, this.#used);
        return;
      }
      bytes[to++] = byte;
    }
    this.#used = to;
  }

  #writeMiddle(row: ListedRow, form: number, etagAt: number): void {
    const bytes = this.#bytes;
    const middle = this.#middles[form] ?? this.#makeMiddle(form);
    const start = this.#used;
    bytes.set(middle, start);
    this.#used = start + middle.length;
    writeIsoDate(bytes, start + DATE_AT, row.fields.lastModifiedMs);
    const { value } = row;
    let to = start + ETAG_AT;
    for (let at = etagAt; at < etagAt + ETAG_BYTES; at++) {
      const byte = value[at] as number;
      bytes[to++] = HEX_DIGITS[byte >> 4] as number;
      bytes[to++] = HEX_DIGITS[byte & 15] as number;
    }
  }

  #makeMiddle(form: number): Buffer {
    const checksum = checksumElements(checksumOfForm(form));
    const [date, etag] = ["-".repeat(ISO_DATE_CHARS), "-".repeat(ETAG_CHARS)];
    const middle = `${BEFORE_DATE}${date}${BEFORE_ETAG}${etag}&quot;</ETag>${checksum}<Size>`;
    const made = Buffer.from(middle);
    this.#middles[form] = made;
    return made;
  }

  #writeNumber(value: number): void {
    const bytes = this.#bytes;
    if (value > INT_MAX) {
      this.#used += bytes.write(String(value), this.#used);
      return;
    }
    let digits = 1;
    for (let limit = 10; value >= limit; limit *= 10) digits += 1;
    let rest = value | 0;
    for (let at = this.#used + digits - 1; at >= this.#used; at--) {
      const tenth = (rest / 10) | 0;
      bytes[at] = ZERO + rest - tenth * 10;
      rest = tenth;
    }
    this.#used += digits;
  }

  #grow(needed = 0): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#used);
    this.#bytes = larger;
  }
}
