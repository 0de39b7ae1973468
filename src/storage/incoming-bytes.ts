import { toHex } from "../core/bytes.ts";
import { encodeManifest } from "../core/manifest-codec.ts";
import type { ContentHash } from "../core/names.ts";
import type { ManifestRef, Operation } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { OpenBatch } from "./batch.ts";
import { TABLES } from "./metadata/rows.ts";
import { stagedChunks } from "./objects.ts";
import { mayStayRemote } from "./remote-manifests.ts";
import type { IncomingManifest, IncomingOperation } from "./replica.ts";
import type { StoreParts } from "./store-parts.ts";

/** About what a commit of manifests takes beside what it lists. */
const RECORD_BYTES = 1024;

/** Whether the bytes that an operation names are here, or come with it. */
export function hasBytes(
  batch: OpenBatch,
  operation: Operation,
  { inline, state }: IncomingOperation,
): boolean {
  const { body } = operation;
  if (body.kind !== "object-put") return true;
  const ref = body.object.body;
  if (ref.kind === "inline") return (inline?.length ?? 0) === ref.bytes;
  if (state.kind === "remote") return mayStayRemote(batch, operation);
  const manifests = state.kind === "whole" ? state.manifests : [];
  return ref.manifests.every((one) => isWhole(batch, one, manifests));
}

/** Whether a manifest is here, or comes with every chunk that is missing here. */
export function isWhole(
  batch: OpenBatch,
  { hash, bytes }: ManifestRef,
  manifests: readonly IncomingManifest[],
): boolean {
  if (batch.context.view.get(TABLES.manifest, hash) !== undefined) return true;
  const incoming = manifests.find((manifest) => manifest.hash === hash);
  if (incoming === undefined) return false;
  const sum = incoming.chunks.reduce((total, chunk) => total + chunk.bytes, 0);
  return sum === bytes && isWholeManifest(batch, incoming);
}

/** Whether an incoming manifest comes with every chunk that is missing here. */
function isWholeManifest({ context: { view } }: OpenBatch, incoming: IncomingManifest): boolean {
  const fresh = new Set<ContentHash>(freshChunks(incoming).map((chunk) => chunk.hash));
  return incoming.chunks.every(
    ({ hash }) => fresh.has(hash) || view.get(TABLES.chunk, hash) !== undefined,
  );
}

function freshChunks({ staged }: IncomingManifest): ReturnType<typeof stagedChunks>["chunks"] {
  return staged === undefined ? [] : stagedChunks(staged).chunks;
}

/** Writes a manifest that is not here yet, and the places of its chunks that were staged. */
export function takeManifest(batch: OpenBatch, incoming: IncomingManifest): void {
  const { view } = batch.context;
  if (view.get(TABLES.manifest, incoming.hash) !== undefined) return;
  const fresh = new Map(
    freshChunks(incoming)
      .filter((chunk) => view.get(TABLES.chunk, chunk.hash) === undefined)
      .map((chunk) => [chunk.hash, chunk]),
  );
  if (fresh.size > 0) batch.local({ kind: "chunks-placed", chunks: [...fresh.values()] });
  batch.manifest(incoming.hash, incoming.chunks);
}

/**
 * Takes in manifests that rows name and that were missing, with the chunks staged for them. Those
 * that nothing names any more, or that are here already, are discarded. Returns how many were
 * taken.
 *
 * @throws StorageFault "disk-full" or "busy", before anything is begun.
 */
export async function takeRemote(
  { committer, admission, hash }: Pick<StoreParts, "committer" | "admission" | "hash">,
  manifests: readonly IncomingManifest[],
): Promise<number> {
  const named = manifests.filter((one) => isNamedRightly(hash, one));
  const chunks = named.reduce((sum, one) => sum + one.chunks.length, 0);
  const bytes = RECORD_BYTES + chunks * 128;
  try {
    admission.admit(bytes);
    return await committer.submit<number>(bytes, (batch) => {
      const { view } = batch.context;
      let taken = 0;
      for (const one of named) {
        const wanted = view.get(TABLES.remote, one.hash);
        const sum = one.chunks.reduce((total, chunk) => total + chunk.bytes, 0);
        if (wanted?.bytes !== sum || !isWholeManifest(batch, one)) continue;
        takeManifest(batch, one);
        taken += 1;
      }
      return taken;
    });
  } finally {
    for (const { staged } of manifests) if (staged !== undefined) stagedChunks(staged).release();
  }
}

/**
 * Whether a manifest has the hash it is named by: under another name the next rebuild would lose
 * it.
 */
export function isNamedRightly(hash: Pick<Hash, "digest">, one: IncomingManifest): boolean {
  return toHex(hash.digest("BLAKE3", encodeManifest(one.chunks))) === one.hash;
}
