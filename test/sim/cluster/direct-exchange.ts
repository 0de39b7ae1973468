import type { OriginId, Seq } from "../../../src/core/names.ts";
import { chainAfter, decodeOperation } from "../../../src/core/operation-codec.ts";
import type { Hash } from "../../../src/ports/hash.ts";
import type {
  IncomingManifest,
  IncomingOperation,
  LogEntry,
  Replica,
  SignedHead,
} from "../../../src/storage/replica.ts";
import type { Site } from "../../../src/storage/site.ts";
import type { Seed } from "../seed.ts";
import { BrokenPromise } from "../store-check.ts";
import type { Running } from "./cluster-machine.ts";

const PAGE_BYTES_MAX = 400_000;
const CHUNK_READ_BYTES = 1024 * 1024;
// A manifest that was here when a page was looked at may have gone when it is taken in.
const MAY_BE_REFUSED: ReadonlySet<string> = new Set(["gap", "clock", "bytes"]);

/**
 * Carries one page of a log from one site to another without any network: what replication does,
 * in the fewest words, so that storage can be tried alone. Pages end anywhere and come again.
 */
export async function pullDirectly(
  from: Running,
  to: Running,
  deps: { readonly hash: Hash; readonly seed: Seed },
): Promise<string> {
  const { seed, hash } = deps;
  const source = from.replica;
  const target = to.replica;
  source.acknowledge(to.site.identity.siteId, target.applied());
  const after = new Map<OriginId, Seq>();
  for (const [origin, { seq }] of target.received()) after.set(origin, seq);
  // Now and then the page begins earlier: what it holds is there already.
  if (seed.chance(0.1)) for (const origin of [...after.keys()]) after.delete(origin);
  const page = await source.readLog(after, 1 + seed.int(PAGE_BYTES_MAX));
  if (page.outcome === "below-floor") return "below-floor";
  const kept = seed.chance(0.2) ? seed.int(page.entries.length + 1) : page.entries.length;
  const entries = page.entries.slice(0, kept);
  const incoming: IncomingOperation[] = [];
  for (const entry of entries) incoming.push(await carry(source, target, entry));
  const outcomes = await target.ingest(incoming, headsOf(entries, from.site, hash));
  for (const one of outcomes) {
    if (one.outcome !== "refused" || MAY_BE_REFUSED.has(one.reason)) continue;
    throw new BrokenPromise(`${to.site.identity.name} refuses: ${one.reason}, ${one.message}`);
  }
  return outcomes.map((one) => one.outcome).join();
}

async function carry(
  source: Replica,
  target: Replica,
  entry: LogEntry,
): Promise<IncomingOperation> {
  if (entry.missing === "void") return { ...entry, state: { kind: "void" } };
  if (entry.missing === "parked") {
    return { ...entry, state: { kind: "parked", reason: "the peer has parked it" } };
  }
  const { body } = decodeOperation(entry.encoded);
  const manifests: IncomingManifest[] = [];
  if (body.kind === "object-put" && body.object.body.kind === "manifests") {
    for (const { hash } of body.object.body.manifests) {
      if (target.manifest(hash) !== undefined) continue;
      const chunks = source.manifest(hash);
      // Superseded at the source, which gave its bytes up: the newer operation comes behind it.
      if (chunks === undefined) return { ...entry, state: { kind: "void" } };
      const missing = chunks.filter((chunk) => !target.hasChunk(chunk.hash));
      if (missing.length === 0) {
        manifests.push({ hash, chunks, staged: undefined });
        continue;
      }
      const writer = await target.stageBody();
      for (const chunk of missing) {
        for (let at = 0; at < chunk.bytes; at += CHUNK_READ_BYTES) {
          const length = Math.min(CHUNK_READ_BYTES, chunk.bytes - at);
          const bytes = await source.readChunk(chunk.hash, at, length);
          if (bytes === undefined) {
            writer.abort();
            return { ...entry, state: { kind: "void" } };
          }
          await writer.write(bytes);
        }
      }
      manifests.push({ hash, chunks, staged: await writer.finish() });
    }
  }
  return { ...entry, state: { kind: "whole", manifests } };
}

/** Heads as if each origin's site had signed where the page ends. */
function headsOf(entries: readonly LogEntry[], from: Site, hash: Hash): SignedHead[] {
  const heads = new Map<OriginId, SignedHead>();
  for (const { encoded } of entries) {
    const { dot, chainBefore } = decodeOperation(encoded);
    const chain = chainAfter((bytes) => hash.digest("SHA256", bytes), chainBefore, encoded);
    const signature = Buffer.alloc(64, dot.origin);
    heads.set(dot.origin, { ...dot, site: from.identity.siteId, chain, signature });
  }
  return [...heads.values()];
}
