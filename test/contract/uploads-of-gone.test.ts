import { afterEach, expect, test } from "vitest";
import { TABLES } from "../../src/storage/metadata/rows.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { keyOf } from "../sim/store-journal.ts";
import { handOverAll } from "../support/hand-over.ts";
import { takeAllRows } from "../support/logical-rows.ts";
import { PLAIN } from "../support/remote-sites.ts";
import { put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * Uploads in progress end with their bucket. Nobody could reach them afterwards, to complete or to
 * abort them, and their parts would take space for ever.
 */

afterEach(closeSimSites);

const ATTRIBUTES = { system: [], user: [], storageClass: undefined, tags: [] };

/** Two sites that know a bucket; at the second one an upload to it has begun. */
async function withUpload(name: string): Promise<[SimSite, SimSite]> {
  const a = await SimSite.open(`${name} a`);
  const b = await SimSite.open(`${name} b`);
  await setUp(a);
  await handOverAll(a, b);
  const at = { bucket: PLAIN, key: keyOf("up") };
  const asked = { ...at, initiator: "i", attributes: ATTRIBUTES, encryption: undefined };
  const begun = await b.store.createUpload({ ...asked, checksum: undefined });
  if (begun.outcome !== "created") throw new Error(begun.outcome);
  const writer = await b.store.stageBody();
  await writer.write(Buffer.alloc(300_000, "part"));
  const part = { partNumber: 1, etag: "0".repeat(32), checksums: [] };
  const body = { kind: "staged", staged: await writer.finish() } as const;
  const { uploadId } = begun.upload;
  expect((await b.store.putPart({ ...at, ...part, uploadId, body })).outcome).toBe("stored");
  return [a, b];
}

/** Rows of uploads, of their parts, and of the bytes of those. */
function rowsOfUploads({ kv, hash }: SimSite): string[] {
  const prefixes = [TABLES.upload, TABLES.part, TABLES.manifest, TABLES.chunk].map(
    ({ prefix }) => prefix,
  );
  return dumpRows(kv, hash).filter(([first = ""]) => prefixes.includes(first));
}

async function expectEnded(site: SimSite): Promise<void> {
  expect(site.store.bucket(PLAIN)).toBeUndefined();
  expect(rowsOfUploads(site)).toHaveLength(4);
  await site.store.keepHouse();
  expect(rowsOfUploads(site)).toEqual([]);
  const kept = dumpRows(site.kv, site.hash);
  await site.restart(true);
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
}

test("uploads end when the last object has gone that kept their deleted bucket", async () => {
  const [a, b] = await withUpload("kept");
  await put(b.store, 0, 0, Buffer.from("written beside the delete"));
  await a.store.deleteBucket(PLAIN);
  await handOverAll(a, b);
  await b.store.keepHouse();
  expect(b.store.bucket(PLAIN)).toBeDefined();
  expect(rowsOfUploads(b)).toHaveLength(4);
  await b.store.deleteObject({ bucket: PLAIN, key: keyOf("a") });
  await expectEnded(b);
});

test("uploads end when the deletion of their bucket came as a row", async () => {
  const [a, b] = await withUpload("row");
  await a.store.deleteBucket(PLAIN);
  await takeAllRows(a, b.store, 100);
  await expectEnded(b);
});
