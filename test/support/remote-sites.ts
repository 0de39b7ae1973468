import { expect } from "vitest";
import { METADATA_FIRST, REPLICATE_SETTING } from "../../src/core/metadata-first.ts";
import type { ManifestRef } from "../../src/core/records.ts";
import type {
  IncomingManifest,
  IncomingOperation,
  IngestOutcome,
} from "../../src/storage/replica.ts";
import type { StoredObject } from "../../src/storage/store.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { entriesFor, headOf } from "./hand-over.ts";
import type { SimSite } from "./sim-site.ts";

/** Names of the workload, of which most tests need no other. */
export const PLAIN = bucketOf("plain");
export const KEY = keyOf("a");

/** Lets a bucket show rows before their large bodies are there, or not any more. */
export async function showRowsFirst(
  site: SimSite,
  bucket: typeof PLAIN,
  isOn = true,
): Promise<void> {
  const value = isOn ? METADATA_FIRST : undefined;
  await site.store.putBucketSetting({ bucket, name: REPLICATE_SETTING, value });
}

/** Hands on what one site has beyond another; bytes of large bodies stay where they are. */
export async function handOverRows(from: SimSite, to: SimSite): Promise<readonly IngestOutcome[]> {
  const incoming: IncomingOperation[] = [];
  for (const entry of await entriesFor(from, to)) {
    const isLarge = entry.inline === undefined;
    incoming.push(isLarge ? { ...entry, state: { kind: "remote" } } : entry);
  }
  const last = incoming.at(-1);
  const site = from.running.site.identity.siteId;
  const heads = last === undefined ? [] : [headOf(last.encoded, site, from.hash)];
  return await to.store.replica.ingest(incoming, heads);
}

/** What came of operations, in a word each. */
export function namesOf(outcomes: readonly IngestOutcome[]): string[] {
  return outcomes.map((one) => (one.outcome === "refused" ? one.reason : one.outcome));
}

/** What a key has at a site. */
export function objectOf({ store }: SimSite, bucket = PLAIN, key = KEY): StoredObject {
  const object = store.object(bucket, key);
  if (object === undefined) throw new Error("the object has gone");
  return object;
}

/** What a manifest lists, staged at one site as another one has it. */
export async function staged(from: SimSite, to: SimSite, hash: string): Promise<IncomingManifest> {
  const chunks = from.store.replica.manifest(hash as ManifestRef["hash"]);
  if (chunks === undefined) throw new Error("no manifest");
  const writer = await to.store.stageBody();
  for (const chunk of chunks) {
    const bytes = await from.store.replica.readChunk(chunk.hash, 0, chunk.bytes);
    await writer.write(bytes ?? Buffer.alloc(0));
  }
  return { hash: hash as ManifestRef["hash"], chunks, staged: await writer.finish() };
}

/** Lets a site fetch what it lacks from another one; gives what was asked for. */
export function bringFrom(from: SimSite, to: SimSite): string[] {
  const asked: string[] = [];
  to.store.remote.bringFrom(async ({ hash }, writer) => {
    asked.push(writer);
    await to.store.remote.take([await staged(from, to, hash)]);
  });
  return asked;
}

/** The first list of pieces of a large body. */
export function manifestOf({ record: { body } }: StoredObject): ManifestRef["hash"] {
  const [manifest] = body.kind === "manifests" ? body.manifests : [];
  if (manifest === undefined) throw new Error("a small body");
  return manifest.hash;
}

/** A restart leaves the index as it is, and so does making it anew from the log. */
export async function expectSameAfterRebuild(site: SimSite): Promise<void> {
  const kept = dumpRows(site.kv, site.hash);
  await site.restart();
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  await site.restart(true);
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
}
