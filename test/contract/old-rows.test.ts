import { afterEach, expect, test } from "vitest";
import type { Store } from "../../src/storage/store.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const AT = { bucket: bucketOf("alpha"), key: keyOf("up") };
const ATTRIBUTES = { system: [], user: [], storageClass: undefined, tags: [] };
const PART = { partNumber: 1, etag: "0".repeat(32), checksums: [] };
const DAY_MS = 24 * 3_600_000;

async function upload(store: Store, bytes: Uint8Array): Promise<void> {
  const asked = { ...AT, initiator: "i", attributes: ATTRIBUTES };
  const begun = await store.createUpload({ ...asked, encryption: undefined, checksum: undefined });
  if (begun.outcome !== "created") throw new Error(begun.outcome);
  const { uploadId } = begun.upload;
  const writer = await store.stageBody();
  await writer.write(bytes);
  const body = { kind: "staged", staged: await writer.finish() } as const;
  await store.putPart({ ...AT, ...PART, uploadId, body });
  await store.completeUpload({ ...AT, uploadId, parts: [PART], combine: () => [] });
}

test("one look forgets no more than a part of what is old, and the next ones the rest", async () => {
  const { store, machine } = await SimSite.open("old-rows");
  await store.createBucket({ name: AT.bucket, owner: "o" });
  for (let at = 0; at < 502; at++) await upload(store, Buffer.from("the same bytes"));
  expect((await store.keepHouse()).resultsExpired).toBe(0);
  machine.clock.leap(DAY_MS + 1);
  const expired: number[] = [];
  for (let looks = 0; looks < 3; looks++) expired.push((await store.keepHouse()).resultsExpired);
  // The look before has gone over the first part of them already.
  expect(expired).toEqual([2, 500, 0]);
});
