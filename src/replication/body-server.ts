import { LIMITS } from "../core/limits.ts";
import { parseContentHash } from "../core/names.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { Replica } from "../storage/replica.ts";
import type { ChunkLeases } from "./chunk-leases.ts";
import { refusalReply } from "./peer-replies.ts";
import type { PeerAnswer } from "./peer-server.ts";
import { parseManifestsRequest, writeManifests } from "./wire-bodies.ts";

export type BodyServerDeps = {
  readonly replica: Replica;
  readonly leases: ChunkLeases;
  readonly served: (peer: SiteRecord, bytes: number) => void;
};

const NOTHING = Buffer.alloc(0);

/** `POST /v1/repl/manifests`: lists of chunks by their hash; their chunks are kept for a while. */
export function answerManifests(
  { replica, leases }: BodyServerDeps,
  { body }: { readonly body: Uint8Array },
): PeerAnswer {
  const parsed = parseManifestsRequest(body);
  if (parsed.outcome === "bad") return refusalReply(400, parsed.problem);
  const manifests = parsed.value.map((hash) => {
    const chunks = replica.manifest(hash);
    if (chunks !== undefined) leases.take(hash, () => chunks.map((chunk) => chunk.hash));
    return chunks;
  });
  return { status: 200, body: writeManifests(manifests) };
}

/**
 * `GET /v1/repl/chunk?hash=H&offset=N&bytes=N`: a chunk's bytes from an offset on, or 404 when it
 * is not here or damaged. With `manifest=H` the lease on that manifest's chunks is renewed.
 */
export async function answerChunk(
  { replica, leases, served }: BodyServerDeps,
  { peer, query }: { readonly peer: SiteRecord; readonly query: ReadonlyMap<string, string> },
): Promise<PeerAnswer> {
  const hash = parseContentHash(query.get("hash") ?? "");
  const offset = readCount(query.get("offset"));
  const bytes = readCount(query.get("bytes"));
  if (hash === undefined || offset === undefined || bytes === undefined) {
    return refusalReply(400, "hash, offset or bytes is not valid");
  }
  if (bytes === 0 || offset + bytes > LIMITS.chunkBytes) return refusalReply(400, "no such range");
  const manifest = parseContentHash(query.get("manifest") ?? "");
  if (manifest !== undefined) leases.renew(manifest);
  const piece = await replica.readChunk(hash, offset, bytes);
  if (piece === undefined) return { status: 404, body: NOTHING };
  served(peer, piece.length);
  return { status: 200, body: piece };
}

function readCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,8}$/.test(text) ? Number(text) : undefined;
}
