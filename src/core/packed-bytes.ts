import { deflateRawSync, inflateRawSync } from "node:zlib";
import { ByteReader, ByteWriter, LayoutError } from "./bytes.ts";

/*
 * Packed bytes: pieces, each as it is or deflated (RFC 1951), whichever is smaller.
 *
 * | part   | bytes  | meaning                                   |
 * | ------ | ------ | ----------------------------------------- |
 * | form   | u8     | 0 as it is, 1 deflated                    |
 * | plain  | u32    | bytes of the piece, at most 256 KiB       |
 * | stored | u32    | bytes that follow                         |
 * | bytes  | stored | the piece                                 |
 */
const PIECE_BYTES = 256 * 1024;
/** This much of a piece is deflated first, to see whether the rest is worth the time. */
const SAMPLE_BYTES = 16 * 1024;
/** A shorter piece saves less than deflating it costs. */
const WORTH_BYTES = 512;
const LEVEL = 1;
/** A piece must shrink to this share, or it stays as it is. */
const WORTH_SHARE = 0.875;
/** What zlib asks for at least. */
const CHUNK_BYTES_MIN = 64;
const FORM_PLAIN = 0;
const FORM_DEFLATED = 1;

/**
 * Packs bytes for the wire; pieces that do not shrink travel as they are. The parts are to be
 * written one after the other; those that travel as they are share memory with the input.
 *
 * @param compress whether deflating is tried at all.
 */
export function packParts(bytes: Uint8Array, compress: boolean): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
    const piece = bytes.subarray(start, start + PIECE_BYTES);
    const deflated = compress ? deflateIfWorth(piece) : undefined;
    const stored = deflated ?? piece;
    const front = new ByteWriter(16).u8(deflated === undefined ? FORM_PLAIN : FORM_DEFLATED);
    parts.push(front.u32(piece.length).u32(stored.length).view(), stored);
  }
  return parts;
}

function deflateIfWorth(piece: Uint8Array): Buffer | undefined {
  if (piece.length < WORTH_BYTES) return undefined;
  if (piece.length > SAMPLE_BYTES) {
    const sample = deflateRawSync(piece.subarray(0, SAMPLE_BYTES), { level: LEVEL });
    if (sample.length > SAMPLE_BYTES * WORTH_SHARE) return undefined;
  }
  const deflated = deflateRawSync(piece, { level: LEVEL });
  return deflated.length > piece.length * WORTH_SHARE ? undefined : deflated;
}

/**
 * Unpacks what `packParts` made, never into more than `bytesMax`: what a piece says about its size
 * is checked before and after it is inflated.
 *
 * @throws LayoutError when the bytes do not fit the layout or the bound.
 */
export function unpackBytes(packed: Uint8Array, bytesMax: number): Buffer {
  const reader = new ByteReader(packed);
  const pieces: Buffer[] = [];
  let total = 0;
  while (reader.remaining > 0) {
    const form = reader.u8();
    const plainBytes = reader.u32();
    const stored = reader.bytes(reader.u32());
    total += plainBytes;
    if (plainBytes === 0 || plainBytes > PIECE_BYTES || total > bytesMax) {
      throw new LayoutError("a packed piece is larger than allowed");
    }
    const piece = form === FORM_DEFLATED ? inflate(stored, plainBytes) : stored;
    if (form > FORM_DEFLATED || piece.length !== plainBytes) {
      throw new LayoutError("a packed piece is not what it says");
    }
    pieces.push(piece);
  }
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces, total);
}

function inflate(stored: Uint8Array, plainBytes: number): Buffer {
  try {
    // Room for all of it at once: by default it would come in pieces of 16 KiB, put together later.
    const chunkSize = Math.max(plainBytes, CHUNK_BYTES_MIN);
    return inflateRawSync(stored, { maxOutputLength: plainBytes, chunkSize });
  } catch (cause) {
    throw new LayoutError("a packed piece cannot be inflated", { cause });
  }
}
