import type { ByteReader } from "../../core/bytes.ts";

/** CRC-32 (IEEE) as an unsigned number, continuing from `seed`; `Hash.crc32` of the port. */
export type Crc = (bytes: Uint8Array, seed?: number) => number;

/** The version in every segment's header. Another one is refused, never guessed. */
export const FORMAT_VERSION = 1;

/** Numbers of the record kinds, for ever: none is changed, none is used again. */
export const RECORD_KIND_NUMBERS = {
  op: 1,
  local: 2,
  body: 3,
  chunk: 4,
  manifest: 5,
  row: 6,
} as const;

export type RecordKind = keyof typeof RECORD_KIND_NUMBERS;

export const RECORD_KINDS: ReadonlyArray<RecordKind | undefined> = [
  undefined,
  "op",
  "local",
  "body",
  "chunk",
  "manifest",
  "row",
];

/** First bytes of each structure: eight letters as ASCII. */
export const MAGIC = {
  segment: Buffer.from("ATOLSEGM"),
  batch: Buffer.from("ATOLBTCH"),
  chunk: Buffer.from("ATOLCHNK"),
  footer: Buffer.from("ATOLFOOT"),
  trailer: Buffer.from("ATOLTRLR"),
} as const;

/** First four bytes of a batch's trailer: "BEND". */
export const BATCH_END = Buffer.from("BEND");

/** Where a structure should stand; what was written elsewhere never passes. */
export type ExpectedPlace = { readonly segmentId: number; readonly offset: number };

/** Whether the next bytes are these; reads past them. */
export function readMagic(reader: ByteReader, magic: Buffer): boolean {
  return reader.bytes(magic.length).equals(magic);
}

/** Whether nothing was ever written here: a hole of the file, or zeros. */
export function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}
