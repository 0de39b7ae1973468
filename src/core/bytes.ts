import { assert } from "./assert.ts";

const EMPTY = new Uint8Array(0);

/** Input that ends early or does not fit its layout. Decoders make it an outcome or a fault. */
export class LayoutError extends Error {
  override readonly name = "LayoutError";
}

/** Orders byte strings as unsigned bytes, as LMDB and S3 do (JavaScript's string order differs). */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  return Buffer.compare(left, right);
}

/** Rounds up to a multiple of `unit`, a power of two. */
export function alignUp(size: number, unit: number): number {
  return Math.ceil(size / unit) * unit;
}

/** Lower-case hexadecimal, or undefined when the text is not exactly `bytes` of it. */
export function parseHex(text: string, bytes: number): Uint8Array | undefined {
  if (text.length !== bytes * 2 || !/^[0-9a-f]*$/.test(text)) return undefined;
  return Buffer.from(text, "hex");
}

/** Lower-case hexadecimal, two digits a byte. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** Views the same memory as a Buffer, for its faster accessors. Nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Copies all of `bytes` to a place that may lie in shared memory. There V8's `set` and `copy` move
 * one byte at a time unless both addresses are aligned alike (0.4 ns a byte); `fill` with the bytes
 * as its pattern copies as the machine can (0.07). Throws RangeError when they do not fit.
 */
export function copyInto(into: Buffer, at: number, bytes: Uint8Array): void {
  if (bytes.length > 0) into.fill(bytes, at, at + bytes.length);
}

/**
 * Up to this many bytes are copied faster one by one than by a call, which has to make a view of
 * them.
 */
const FEW_BYTES = 96;

/**
 * Copies a part of `bytes`, usually a short one. Within one memory the two must not overlap. Hot
 * path.
 */
export function copyFew(
  into: Buffer,
  at: number,
  { bytes, from, to }: { readonly bytes: Buffer; readonly from: number; readonly to: number },
): void {
  if (to - from > FEW_BYTES) {
    bytes.copy(into, at, from, to);
    return;
  }
  const shift = at - from;
  for (let byte = from; byte < to; byte++) into[byte + shift] = bytes[byte] as number;
}

/**
 * Copies many small inputs into few large pieces of memory: a buffer for each costs more than the
 * copy. A piece is freed when the last copy in it is, so this is only for what is kept for moments.
 */
export class Slab {
  readonly #bytes: number;
  #memory: Buffer;
  #used = 0;

  constructor(bytes = 1024 * 1024) {
    this.#bytes = bytes;
    this.#memory = Buffer.allocUnsafeSlow(bytes);
  }

  copy(data: Uint8Array): Buffer {
    if (data.length > this.#bytes / 8) return Buffer.from(data);
    if (this.#used + data.length > this.#bytes) {
      this.#memory = Buffer.allocUnsafeSlow(this.#bytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += data.length;
    this.#memory.set(data, start);
    return this.#memory.subarray(start, this.#used);
  }
}

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Collects what comes in pieces into one piece of memory. A client decides how finely its body is
 * cut: an object for each of its bytes would take a hundred times as much as they do.
 */
export class Gathered {
  readonly #expectedBytes: number;
  #memory = NOTHING;
  #length = 0;

  /** @param expectedBytes how much will come, if that is known: then memory is taken once. */
  constructor(expectedBytes = 0) {
    this.#expectedBytes = expectedBytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Copies the piece. */
  push(piece: Uint8Array): void {
    const end = this.#length + piece.length;
    if (end > this.#memory.length) {
      // One piece is often all that comes.
      const bytes = this.#length === 0 ? Math.max(end, this.#expectedBytes) : end * 2;
      const larger = Buffer.allocUnsafeSlow(bytes);
      this.#memory.copy(larger, 0, 0, this.#length);
      this.#memory = larger;
    }
    this.#memory.set(piece, this.#length);
    this.#length = end;
  }

  /** Everything so far, which is forgotten here. */
  take(): Buffer {
    const taken = this.#memory.subarray(0, this.#length);
    this.#memory = NOTHING;
    this.#length = 0;
    return taken;
  }
}

/** Writes little-endian integers, varints and byte strings into memory that grows as needed. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#buffer = Buffer.allocUnsafeSlow(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** The bytes written so far, sharing memory with the writer until its next reset. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** A part of the bytes written so far, shared in the same way. */
  slice(start: number, end: number): Buffer {
    assert(end <= this.#length, "a slice outside what was written");
    return this.#buffer.subarray(start, end);
  }

  /** A copy of the bytes written so far. */
  finish(): Buffer {
    return Buffer.from(this.view());
  }

  reset(): void {
    this.#length = 0;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#buffer[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  /** An unsigned 64-bit integer that fits a double exactly. */
  u64(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, "u64 out of range");
    const at = this.#grow(8);
    this.#buffer.writeUInt32LE(value % 0x1_0000_0000, at);
    this.#buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
    return this;
  }

  bigU64(value: bigint): this {
    const at = this.#grow(8);
    this.#buffer.writeBigUInt64LE(value, at);
    return this;
  }

  /** Unsigned LEB128, canonical (shortest form). */
  varint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, "varint out of range");
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.u8(rest);
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  /** Raw bytes behind their length as a varint. */
  sized(value: Uint8Array): this {
    return this.varint(value.length).bytes(value);
  }

  /** UTF-8 text behind its length in bytes as a varint. */
  text(value: string): this {
    const bytes = Buffer.byteLength(value);
    this.varint(bytes);
    const at = this.#grow(bytes);
    this.#buffer.write(value, at, "utf8");
    return this;
  }

  hex(value: string): this {
    const at = this.#grow(value.length / 2);
    this.#buffer.write(value, at, "hex");
    return this;
  }

  zeros(count: number): this {
    const at = this.#grow(count);
    this.#buffer.fill(0, at, at + count);
    return this;
  }

  /** Overwrites four bytes written earlier (a length or checksum known only later). */
  patchU32(offset: number, value: number): void {
    assert(offset + 4 <= this.#length, "patch outside what was written");
    this.#buffer.writeUInt32LE(value, offset);
  }

  #grow(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#length = needed;
    return at;
  }
}

/** Reads what ByteWriter wrote. Every read is bounds-checked and throws LayoutError, never more. */
export class ByteReader {
  readonly #buffer: Buffer;
  #offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#buffer = asBuffer(bytes);
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#buffer.length - this.#offset;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  u64(): number {
    const at = this.#take(8);
    const high = this.#buffer.readUInt32LE(at + 4);
    const value = high * 0x1_0000_0000 + this.#buffer.readUInt32LE(at);
    if (!Number.isSafeInteger(value)) throw new LayoutError("u64 beyond a safe integer");
    return value;
  }

  bigU64(): bigint {
    return this.#buffer.readBigUInt64LE(this.#take(8));
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && count > 0) throw new LayoutError("varint is not in its shortest form");
        if (!Number.isSafeInteger(value)) throw new LayoutError("varint beyond a safe integer");
        return value;
      }
      scale *= 0x80;
    }
    throw new LayoutError("varint too long");
  }

  /** Shares memory with the input: copy it to keep it. */
  bytes(count: number): Buffer {
    const at = this.#take(count);
    return this.#buffer.subarray(at, at + count);
  }

  sized(): Buffer {
    const length = this.varint();
    return length === 0 ? asBuffer(EMPTY) : this.bytes(length);
  }

  text(): string {
    const length = this.varint();
    const at = this.#take(length);
    return this.#buffer.toString("utf8", at, at + length);
  }

  hex(bytes: number): string {
    const at = this.#take(bytes);
    return this.#buffer.toString("hex", at, at + bytes);
  }

  end(): void {
    if (this.remaining !== 0) throw new LayoutError(`${this.remaining} bytes left over`);
  }

  #take(count: number): number {
    const at = this.#offset;
    if (count < 0 || at + count > this.#buffer.length) throw new LayoutError("input ends early");
    this.#offset = at + count;
    return at;
  }
}
