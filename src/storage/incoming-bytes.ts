import type { ContentHash } from "../core/names.ts";
import type { ManifestRef, Operation } from "../core/records.ts";
import type { OpenBatch } from "./batch.ts";
import { TABLES } from "./metadata/rows.ts";
import { stagedChunks } from "./objects.ts";
import type { IncomingManifest, IncomingOperation } from "./replica.ts";

/** Whether the bytes of an operation are here, or come with it. */
export function hasBytes(
  batch: OpenBatch,
  { body }: Operation,
  { inline, state }: IncomingOperation,
): boolean {
  if (body.kind !== "object-put") return true;
  const ref = body.object.body;
  if (ref.kind === "inline") return (inline?.length ?? 0) === ref.bytes;
  const manifests = state.kind === "whole" ? state.manifests : [];
  return ref.manifests.every((one) => isWhole(batch, one, manifests));
}

/** Whether a manifest is known, or comes along with every chunk that is not known. */
function isWhole(
  { context: { view } }: OpenBatch,
  { hash, bytes }: ManifestRef,
  manifests: readonly IncomingManifest[],
): boolean {
  if (view.get(TABLES.manifest, hash) !== undefined) return true;
  const incoming = manifests.find((manifest) => manifest.hash === hash);
  if (incoming === undefined) return false;
  const fresh = new Set<ContentHash>(freshChunks(incoming).map((chunk) => chunk.hash));
  const sum = incoming.chunks.reduce((total, chunk) => total + chunk.bytes, 0);
  const isHere = (chunk: ContentHash): boolean =>
    fresh.has(chunk) || view.get(TABLES.chunk, chunk) !== undefined;
  return sum === bytes && incoming.chunks.every((chunk) => isHere(chunk.hash));
}

function freshChunks({ staged }: IncomingManifest): ReturnType<typeof stagedChunks>["chunks"] {
  return staged === undefined ? [] : stagedChunks(staged).chunks;
}

/** Writes a manifest that is not known yet, and where those of its chunks lie that were staged. */
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
