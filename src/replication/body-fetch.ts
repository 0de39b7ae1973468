import { toHex } from "../core/bytes.ts";
import { ignore } from "../core/ignore.ts";
import { LIMITS } from "../core/limits.ts";
import type { ContentHash, SiteId } from "../core/names.ts";
import type { ManifestChunk, ManifestRef } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { IncomingManifest, Replica } from "../storage/replica.ts";
import type { Wanted } from "./passed-over.ts";
import type { PeerCalls } from "./peer-calls.ts";
import { PeerLie } from "./peer-lie.ts";

/** The calls of a peer by which large bodies are fetched. */
export type BodyCalls = Pick<PeerCalls, "site" | "manifests" | "chunk">;

export type FetchedBody =
  | { readonly outcome: "whole"; readonly manifests: readonly IncomingManifest[] }
  /** Every site that may have it was asked, and none has it. */
  | { readonly outcome: "gone" }
  /** Somebody who may have it could not be asked. */
  | { readonly outcome: "unreachable"; readonly reason: string };

export type BodyFetchDeps = {
  readonly replica: Pick<Replica, "manifest" | "hasChunk" | "stageBody">;
  readonly hash: Hash;
  /** Peers that can be asked now, best first. */
  readonly sources: (first: SiteId | undefined) => readonly BodyCalls[];
  /**
   * Why a site that may have the bytes is not among the sources; undefined when none is left out.
   */
  readonly leftOut?: () => string | undefined;
  /** A peer gave bytes that are not what their hash says. */
  readonly lied: (peer: SiteId, lie: PeerLie) => void;
  /** How a peer answered when it was asked: with a failure, or in some other way. */
  readonly asked?: (peer: SiteId, wanted: Wanted, failure: unknown) => void;
  /** Bytes of chunks that came over the wire. */
  readonly fetched: (bytes: number) => void;
};

/** The outcome of a search for one thing at all peers. */
type Search<Value> =
  | { readonly outcome: "found"; readonly value: Value }
  | Extract<FetchedBody, { outcome: "gone" | "unreachable" }>;

/**
 * After a failure the rest is fetched in pieces of this size, so that another failure costs less.
 */
const SMALL_PIECE_BYTES = 256 * 1024;
/** After this many failures in a row with one chunk the next peer is asked. */
const FAILURES_MAX = 3;

/**
 * Fetches the chunks of a body that are missing here: asked for by hash, from each peer in turn,
 * resumed where a connection broke, and staged only when their BLAKE3 is right. When the rest
 * cannot be had, what was staged is discarded.
 */
export async function fetchBody(
  deps: BodyFetchDeps,
  refs: readonly ManifestRef[],
  first: SiteId | undefined,
  signal: AbortSignal,
): Promise<FetchedBody> {
  const wanted = [...new Set(refs.map(({ hash }) => hash))].filter(
    (hash) => deps.replica.manifest(hash) === undefined,
  );
  const fetched: IncomingManifest[] = [];
  const giveUp = <Outcome>(outcome: Outcome): Outcome => {
    for (const { staged } of fetched) staged?.discard();
    return outcome;
  };
  try {
    for (const hash of wanted) {
      const found = await findManifest(deps, hash, first, signal);
      if (found.outcome !== "found") return giveUp(found);
      const staged = await stageChunks(deps, { hash, chunks: found.value }, first, signal);
      if (staged.outcome !== "found") return giveUp(staged);
      fetched.push(staged.value);
    }
  } catch (failure) {
    throw giveUp(failure);
  }
  return { outcome: "whole", manifests: fetched };
}

async function findManifest(
  deps: BodyFetchDeps,
  hash: ContentHash,
  first: SiteId | undefined,
  signal: AbortSignal,
): Promise<Search<readonly ManifestChunk[]>> {
  const search = { wanted: "a list of chunks", first, signal } as const;
  return searchPeers(deps, search, async (source) => {
    const [manifest] = await source.manifests([hash], signal);
    if (manifest === undefined) return undefined;
    const digest = toHex(deps.hash.digest("BLAKE3", manifest.encoded));
    if (digest !== hash) throw new PeerLie(`the manifest ${hash} is another one`);
    return manifest.chunks;
  });
}

/** Asks one peer after the other until one has it. */
async function searchPeers<Value>(
  deps: BodyFetchDeps,
  { wanted, first, signal }: { wanted: Wanted; first: SiteId | undefined; signal: AbortSignal },
  ask: (source: BodyCalls) => Promise<Value | undefined>,
): Promise<Search<Value>> {
  // Bytes that count as gone may be given up for ever, so no site may be left out then.
  let reason = deps.leftOut?.();
  for (const source of deps.sources(first)) {
    try {
      const value = await ask(source);
      deps.asked?.(source.site, wanted, undefined);
      if (value !== undefined) return { outcome: "found", value };
    } catch (failure) {
      signal.throwIfAborted();
      deps.asked?.(source.site, wanted, failure);
      if (failure instanceof PeerLie) deps.lied(source.site, failure);
      reason = failure instanceof Error ? failure.message : String(failure);
    }
  }
  return reason === undefined ? { outcome: "gone" } : { outcome: "unreachable", reason };
}

async function stageChunks(
  deps: BodyFetchDeps,
  manifest: { readonly hash: ContentHash; readonly chunks: readonly ManifestChunk[] },
  first: SiteId | undefined,
  signal: AbortSignal,
): Promise<Search<IncomingManifest>> {
  const missing = missingChunks(deps, manifest.chunks);
  if (missing.length === 0) return { outcome: "found", value: { ...manifest, staged: undefined } };
  if (missing.slice(0, -1).some(({ bytes }) => bytes !== LIMITS.chunkBytes)) {
    return { outcome: "unreachable", reason: "its chunks are cut as this program does not cut" };
  }
  const fetchOne = (chunk: ManifestChunk) =>
    fetchChunk(deps, manifest.hash, chunk, { first, signal });
  const writer = await deps.replica.stageBody();
  try {
    let coming = start(fetchOne, missing[0]);
    for (let at = 0; coming !== undefined; at++) {
      const found = await coming;
      if (found.outcome !== "found") {
        writer.abort();
        return found;
      }
      // The next chunk is on its way while this one is written: two chunks in memory, never more.
      coming = start(fetchOne, missing[at + 1]);
      await writer.write(found.value);
    }
    return { outcome: "found", value: { ...manifest, staged: await writer.finish() } };
  } catch (failure) {
    writer.abort();
    throw failure;
  }
}

/**
 * The missing chunks, each once even when it is in the list more than once; the last one may be
 * short.
 */
function missingChunks(
  { replica }: BodyFetchDeps,
  chunks: readonly ManifestChunk[],
): readonly ManifestChunk[] {
  const missing = new Map<ContentHash, ManifestChunk>();
  for (const chunk of chunks) if (!replica.hasChunk(chunk.hash)) missing.set(chunk.hash, chunk);
  const isWhole = ({ bytes }: ManifestChunk) => bytes === LIMITS.chunkBytes;
  const all = [...missing.values()];
  return [...all.filter(isWhole), ...all.filter((chunk) => !isWhole(chunk))];
}

function start<Value>(
  run: (chunk: ManifestChunk) => Promise<Value>,
  chunk: ManifestChunk | undefined,
): Promise<Value> | undefined {
  if (chunk === undefined) return undefined;
  const running = run(chunk);
  // Whoever waits for the chunk hears of a failure; when nobody does, the body has failed already.
  running.catch(ignore);
  return running;
}

async function fetchChunk(
  deps: BodyFetchDeps,
  manifest: ContentHash,
  chunk: ManifestChunk,
  { first, signal }: { readonly first: SiteId | undefined; readonly signal: AbortSignal },
): Promise<Search<Uint8Array>> {
  const search = { wanted: "a chunk", first, signal } as const;
  return searchPeers(deps, search, async (source) => {
    const bytes = await readWhole(deps, source, { manifest, chunk, signal });
    if (bytes === undefined) return undefined;
    if (toHex(deps.hash.digest("BLAKE3", bytes)) !== chunk.hash) {
      throw new PeerLie(`the chunk ${chunk.hash} has other bytes`);
    }
    return bytes;
  });
}

/**
 * A whole chunk from one peer, resumed where it broke off; undefined when the peer has not got it.
 */
async function readWhole(
  deps: BodyFetchDeps,
  source: BodyCalls,
  wanted: { manifest: ContentHash; chunk: ManifestChunk; signal: AbortSignal },
): Promise<Uint8Array | undefined> {
  const { manifest, chunk, signal } = wanted;
  let whole: Uint8Array | undefined;
  let filled = 0;
  let failures = 0;
  while (filled < chunk.bytes) {
    const rest = chunk.bytes - filled;
    const bytes = failures === 0 ? rest : Math.min(rest, SMALL_PIECE_BYTES);
    try {
      const wish = { hash: chunk.hash, offset: filled, bytes, manifest };
      const piece = await source.chunk(wish, signal);
      if (piece === undefined) return undefined;
      if (piece.length > bytes) throw new PeerLie("a chunk is longer than it is");
      deps.fetched(piece.length);
      // As nearly all are: no more memory is taken for it.
      if (piece.length === chunk.bytes) return piece;
      whole ??= Buffer.allocUnsafeSlow(chunk.bytes);
      whole.set(piece, filled);
      filled += piece.length;
    } catch (failure) {
      failures += 1;
      if (failure instanceof PeerLie || failures >= FAILURES_MAX || signal.aborted) throw failure;
    }
  }
  return whole ?? new Uint8Array(0);
}
