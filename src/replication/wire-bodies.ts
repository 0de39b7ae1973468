import { z } from "zod";
import { ByteReader, ByteWriter, LayoutError } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { decodeManifest, encodeManifest } from "../core/manifest-codec.ts";
import { type ContentHash, parseContentHash } from "../core/names.ts";
import type { ManifestChunk } from "../core/records.ts";
import { json, type Parsed, parsed, parseWith } from "./wire-values.ts";

/*
 * How peers ask for what large bodies consist of. Lists of chunks travel as they are stored, so
 * that their name, the BLAKE3-256 of the bytes, is what they are checked by:
 *
 * | part     | bytes  | meaning                                         |
 * | -------- | ------ | ----------------------------------------------- |
 * | length   | u32    | bytes of the manifest; 0: it is not there       |
 * | manifest | length | as core/manifest-codec.ts has it                |
 *
 * one for each that was asked for, in that order.
 */
const hashes = z.array(parsed(parseContentHash)).min(1).max(LIMITS.replicationManifestsMax);

const manifestsRequest = z.object({ hashes });

/** Reads which manifests a peer asks for. */
export function parseManifestsRequest(body: Uint8Array): Parsed<readonly ContentHash[]> {
  const said = parseWith(manifestsRequest, body);
  return said.outcome === "ok" ? { outcome: "ok", value: said.value.hashes } : said;
}

/** Asks for manifests. */
export function writeManifestsRequest(wanted: readonly ContentHash[]): Buffer {
  return json({ hashes: wanted });
}

/** Answers with manifests; undefined for those that are not there. */
export function writeManifests(
  manifests: ReadonlyArray<readonly ManifestChunk[] | undefined>,
): Buffer {
  const writer = new ByteWriter(4096);
  for (const chunks of manifests) {
    const encoded = chunks === undefined ? Buffer.of() : encodeManifest(chunks);
    writer.u32(encoded.length).bytes(encoded);
  }
  return writer.view();
}

export type ReceivedManifest = {
  /** What its name must be. */
  readonly encoded: Uint8Array;
  readonly chunks: readonly ManifestChunk[];
};

/**
 * Reads the answer to a request for `count` manifests.
 *
 * @throws LayoutError when it does not fit the layout, or a chunk is larger than chunks are.
 */
export function readManifests(
  body: Uint8Array,
  count: number,
): ReadonlyArray<ReceivedManifest | undefined> {
  const reader = new ByteReader(body);
  const manifests: (ReceivedManifest | undefined)[] = [];
  for (let at = 0; at < count; at++) {
    const length = reader.u32();
    const encoded = reader.bytes(length);
    manifests.push(length === 0 ? undefined : { encoded, chunks: checkedChunks(encoded) });
  }
  reader.end();
  return manifests;
}

function checkedChunks(encoded: Uint8Array): readonly ManifestChunk[] {
  const chunks = decodeManifest(encoded);
  const fits = ({ bytes }: ManifestChunk) => bytes > 0 && bytes <= LIMITS.chunkBytes;
  if (!chunks.every(fits)) throw new LayoutError("a chunk has an impossible size");
  return chunks;
}
