import { ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import { parseContentHash } from "./names.ts";
import type { ManifestChunk } from "./records.ts";
import { required } from "./tagged-fields.ts";

/*
 * Manifest; its name is the BLAKE3-256 of these bytes.
 *
 * | offset | bytes | meaning                                        |
 * | ------ | ----- | ---------------------------------------------- |
 * | 0      | 1     | format, 1                                      |
 * | 1      | 36 n  | chunks in order: hash (32), bytes (u32)        |
 */
const FORMAT = 1;
const ENTRY_BYTES = 36;

/** The one encoding of a list of chunks: equal lists have equal hashes at every site. */
export function encodeManifest(chunks: readonly ManifestChunk[]): Buffer {
  const writer = new ByteWriter(1 + chunks.length * ENTRY_BYTES);
  writer.u8(FORMAT);
  for (const chunk of chunks) writer.hex(chunk.hash).u32(chunk.bytes);
  return writer.finish();
}

/** Reads a manifest. Throws LayoutError when the bytes do not fit the layout. */
export function decodeManifest(bytes: Uint8Array): ManifestChunk[] {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORMAT) throw new LayoutError("unknown format of manifest");
  if (reader.remaining % ENTRY_BYTES !== 0) throw new LayoutError("manifest ends early");
  const chunks: ManifestChunk[] = [];
  while (reader.remaining > 0) {
    const hash = required(parseContentHash(reader.hex(32)), "chunk hash");
    chunks.push({ hash, bytes: reader.u32() });
  }
  return chunks;
}
