import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { StorageFault } from "../../src/core/faults.ts";
import type { BroughtUpload } from "../../src/core/forwarded-request.ts";
import { parseAccessKeyId } from "../../src/core/names.ts";
import type { IncomingManifest } from "../../src/storage/replica.ts";
import type { CompleteOutcome, CompleteUploadRequest } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { readBody } from "../sim/store-check.ts";
import { handOverAll } from "../support/hand-over.ts";
import { must } from "../support/home-pair.ts";
import { expectSameAfterRebuild, KEY, objectOf, PLAIN, staged } from "../support/remote-sites.ts";
import { put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

const ATTRIBUTES = { system: [], user: [["colour", "red"]], storageClass: undefined, tags: [] };
const ABSENT = { ifNoneMatch: ["*"] };
const PART_BYTES = 5 * 1024 * 1024;

/** The site that has the parts. */
let a: SimSite;
/** The one that judges. */
let b: SimSite;
let bodies: Buffer[];
let brought: BroughtUpload;

beforeEach(async () => {
  a = await SimSite.open("brought a");
  b = await SimSite.open("brought b");
  await setUp(a);
  await handOverAll(a, b);
  bodies = [PART_BYTES, 300_000].map((bytes, at) => new Seed(`part ${at}`).bytes(bytes));
  brought = await begin(bodies);
});

afterEach(closeSimSites);

async function begin(parts: readonly Buffer[]): Promise<BroughtUpload> {
  const begun = await a.store.createUpload({
    ...{ bucket: PLAIN, key: KEY, initiator: must(parseAccessKeyId("ALICE")) },
    ...{ attributes: ATTRIBUTES as never, encryption: undefined, checksum: undefined },
  });
  if (begun.outcome !== "created") throw new Error("the bucket is there");
  const { uploadId } = begun.upload;
  for (const [at, bytes] of parts.entries()) {
    const writer = await a.store.stageBody();
    await writer.write(bytes);
    await a.store.putPart({
      ...{ bucket: PLAIN, key: KEY, uploadId, partNumber: at + 1, checksums: [] },
      etag: createHash("md5").update(bytes).digest("hex"),
      body: { kind: "staged", staged: await writer.finish() },
    });
  }
  return { upload: begun.upload, parts: [...a.store.parts(uploadId, 0)] };
}

/** Completes it at the other site; `bring` gets what that one lacks. */
function complete(
  more: Partial<CompleteUploadRequest> = {},
  bring: NonNullable<CompleteUploadRequest["brought"]>["bring"] = bringAll,
): Promise<CompleteOutcome> {
  const { upload, parts } = brought;
  const listed = parts.map(({ partNumber, etag }) => ({ partNumber, etag, checksums: [] }));
  return b.store.completeUpload({
    ...{ bucket: PLAIN, key: KEY, uploadId: upload.uploadId, parts: listed, conditions: ABSENT },
    ...{ combine: () => [], ...more, brought: { ...brought, bring } },
  });
}

async function bringAll(refs: readonly { readonly hash: string }[]): Promise<IncomingManifest[]> {
  const found: IncomingManifest[] = [];
  for (const { hash } of refs) found.push(await staged(a, b, hash));
  return found;
}

const pinned = () => b.store.stats().segments.pinnedBytes;

test("an upload of another site becomes an object, which a restart and a rebuild keep", async () => {
  expect((await complete()).outcome).toBe("stored");
  const { record } = objectOf(b);
  expect(record).toMatchObject({ size: PART_BYTES + 300_000, attributes: ATTRIBUTES });
  expect(record.parts.map(({ partNumber, size }) => [partNumber, size])).toEqual([
    [1, PART_BYTES],
    [2, 300_000],
  ]);
  await expectSameAfterRebuild(b);
  const read = await readBody(b.store, objectOf(b), 0, record.size);
  expect(read.equals(Buffer.concat(bodies))).toBe(true);
  expect([...b.store.parts(brought.upload.uploadId, 0)]).toEqual([]);
  expect([b.store.stats().multipartUploads, pinned()]).toEqual([0, 0]);
  // The site that had the parts hears of it, and lacks nothing then.
  await handOverAll(b, a);
  expect(a.store.replica.parked()).toEqual([]);
  await a.store.abortUpload(PLAIN, KEY, brought.upload.uploadId);
  await expectSameAfterRebuild(a);
  const there = await readBody(a.store, objectOf(a), 0, record.size);
  expect(there.equals(Buffer.concat(bodies))).toBe(true);
});

test("who asks again gets the answer of the first time, without a byte", async () => {
  expect((await complete()).outcome).toBe("stored");
  await b.restart();
  const again = await complete({}, () => Promise.reject(new Error("nothing is asked for")));
  expect(again).toMatchObject({
    outcome: "already-completed",
    completed: { etag: objectOf(b).record.etag },
  });
  await b.store.deleteObject({ bucket: PLAIN, key: KEY });
  expect((await complete()).outcome).toBe("already-completed");
  expect(b.store.object(PLAIN, KEY)).toBeUndefined();
});

test("a refusal comes before the bytes, and once more with them", async () => {
  const never = () => Promise.reject(new Error("nothing is asked for"));
  const first = { partNumber: 1, etag: "0".repeat(32), checksums: [] };
  expect(await complete({ parts: [first] }, never)).toMatchObject({ outcome: "invalid-part" });
  const short = brought.parts.toReversed().map((part, at) => ({ ...part, partNumber: at + 1 }));
  const parts = short.map(({ partNumber, etag }) => ({ partNumber, etag, checksums: [] }));
  const other = { ...brought, parts: short, bring: never };
  const request = { bucket: PLAIN, key: KEY, uploadId: brought.upload.uploadId, parts };
  expect(
    await b.store.completeUpload({ ...request, combine: () => [], brought: other }),
  ).toMatchObject({ outcome: "part-too-small" });
  // Somebody else is first while the bytes are on their way.
  const late = await complete({}, async (refs) => {
    const found = await bringAll(refs);
    await put(b.store, 0, 0, Buffer.from("first"));
    return found;
  });
  expect(late).toEqual({ outcome: "precondition-failed", condition: "If-None-Match" });
  expect([objectOf(b).record.size, pinned()]).toEqual([5, 0]);
  expect(await complete({}, never)).toMatchObject({ outcome: "precondition-failed" });
  await expectSameAfterRebuild(b);
});

test("bytes that do not come leave nothing, and neither do those that are not all", async () => {
  const fault = new StorageFault("unreachable", "the link is cut");
  await expect(complete({}, () => Promise.reject(fault))).rejects.toBe(fault);
  const half = complete({}, (refs) => bringAll(refs.slice(1)));
  await expect(half).rejects.toMatchObject({ kind: "unreachable" });
  const empty = complete({}, async (refs) => {
    const found = await bringAll(refs);
    for (const one of found) one.staged?.discard();
    return found.map((one) => ({ ...one, staged: undefined }));
  });
  await expect(empty).rejects.toMatchObject({ kind: "unreachable" });
  expect([b.store.object(PLAIN, KEY), pinned()]).toEqual([undefined, 0]);
  await expectSameAfterRebuild(b);
  expect((await complete()).outcome).toBe("stored");
});
