import { createHash } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { StorageFault } from "../../src/core/faults.ts";
import { LIMITS } from "../../src/core/limits.ts";
import type { Damage } from "../../src/storage/logical-rows.ts";
import { TABLES } from "../../src/storage/metadata/rows.ts";
import { indexKey } from "../../src/storage/metadata/stored-rows.ts";
import type { PutObjectRequest, StoredObject } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const bucket = bucketOf("photos");
const key = keyOf("cat.jpg");
const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };

async function siteWith(bytes: Buffer, name: string): Promise<SimSite> {
  const site = await SimSite.open(name);
  const { store } = site;
  await store.createBucket({ name: bucket, owner: "o" });
  let body: PutObjectRequest["body"] = { kind: "inline", bytes };
  if (bytes.length > 128 * 1024) {
    const writer = await store.stageBody();
    await writer.write(bytes);
    body = { kind: "staged", staged: await writer.finish() };
  }
  const etag = createHash("md5").update(bytes).digest("hex");
  const object = { size: bytes.length, etag, attributes: PLAIN, checksums: [], parts: [] };
  await store.putObject({ bucket, key, object: { ...object, encryption: undefined }, body });
  // Afterwards nothing of it is in memory any more, and its segment is sealed.
  await site.restart();
  await site.store.keepHouse();
  return site;
}

function objectOf({ store }: SimSite): StoredObject {
  const object = store.object(bucket, key);
  if (object === undefined) throw new Error("the object has gone");
  return object;
}

function spoil(site: SimSite): void {
  site.spoil(objectOf(site));
}

/** From now on the disk reads nothing of any segment. */
function makeUnreadable({ machine, directory }: SimSite): void {
  const bad = `${directory}/segments/seg-`;
  machine.disk.steps.failWhen(({ kind, path }) =>
    kind === "read" && path.startsWith(bad) ? "EIO" : undefined,
  );
}

const SIZES = [
  ["a small body", 1000],
  ["a body in chunks", 5_000_000],
] as const;

test.each(SIZES)(
  "%s that is damaged is read as another site has it, and mended",
  async (_, size) => {
    const bytes = new Seed("repair").bytes(size);
    const site = await siteWith(bytes, "mended");
    const before = dumpLogicalRows(site.store);
    spoil(site);
    const asked: Damage[] = [];
    const told: unknown[] = [];
    const mended = new Promise<void>((resolve) => {
      site.store.rows.repairFrom(
        async (damage) => {
          asked.push(damage);
          return damage.kind === "inline" ? bytes : bytes.subarray(0, damage.bytes);
        },
        (_damage, failure) => {
          told.push(failure);
          resolve();
        },
      );
    });
    const range = { start: 0, end: size };
    const small = site.store.readSmallBody(objectOf(site), range);
    expect(small).toBeUndefined();
    expect((await readBody(site.store, objectOf(site), 0, size)).equals(bytes)).toBe(true);
    await mended;
    expect(told).toEqual([undefined]);
    expect(site.store.rows.mended()).toBe(1);
    const requests = asked.length;

    await site.restart();
    expect((await readBody(site.store, objectOf(site), 0, size)).equals(bytes)).toBe(true);
    expect(asked).toHaveLength(requests);
    expect(dumpLogicalRows(site.store)).toEqual(before);
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
    expect((await readBody(site.store, objectOf(site), 0, size)).equals(bytes)).toBe(true);
  },
);

test.each(SIZES)(
  "%s that is damaged is refused when nobody has it, or gives other bytes",
  async (_, size) => {
    const bytes = new Seed("repair").bytes(size);
    const site = await siteWith(bytes, "refused");
    spoil(site);
    const refused = expect.objectContaining({ name: StorageFault.name, kind: "corrupt" });
    const read = () => readBody(site.store, objectOf(site), 0, size);
    await expect(read()).rejects.toEqual(refused);
    for (const answer of [undefined, Buffer.alloc(size), Buffer.alloc(size - 1), Buffer.alloc(0)]) {
      site.store.rows.repairFrom(
        async () => answer,
        () => undefined,
      );
      await expect(read()).rejects.toEqual(refused);
    }
    const [damage] = await site.store.rows.check(objectOf(site));
    if (damage === undefined) throw new Error("the damage was not found");
    expect(await site.store.rows.mend(damage, Buffer.alloc(size))).toBe(false);
    expect(site.store.rows.mended()).toBe(0);
  },
);

test.each(SIZES)("%s that the disk cannot read is had from another site", async (_, size) => {
  const bytes = new Seed("unreadable").bytes(size);
  const site = await siteWith(bytes, "unreadable");
  const range = { start: 0, end: size };
  // What has been read is read on this thread the next time, while it is small.
  expect((await readBody(site.store, objectOf(site), 0, size)).equals(bytes)).toBe(true);
  makeUnreadable(site);
  const damaged = await site.store.rows.check(objectOf(site));
  expect(damaged.map(({ kind }) => kind)).toContain(size > 128 * 1024 ? "chunk" : "inline");
  const refused = expect.objectContaining({ name: StorageFault.name, kind: "corrupt" });
  await expect(readBody(site.store, objectOf(site), 0, size)).rejects.toEqual(refused);
  let told = 0;
  const mended = new Promise<void>((resolve) => {
    site.store.rows.repairFrom(
      async (damage) => {
        if (damage.kind === "inline") return bytes;
        // The last chunk is shorter.
        return damage.bytes === LIMITS.chunkBytes
          ? bytes.subarray(0, damage.bytes)
          : bytes.subarray(-damage.bytes);
      },
      () => {
        told += 1;
        if (told === damaged.length) resolve();
      },
    );
  });
  expect(site.store.readSmallBody(objectOf(site), range)).toBeUndefined();
  expect((await readBody(site.store, objectOf(site), 0, size)).equals(bytes)).toBe(true);
  await mended;
  expect(site.store.rows.mended()).toBe(damaged.length);
});

test("a chunk that is damaged, or cannot be read, is not given to another site", async () => {
  const site = await siteWith(new Seed("given").bytes(5_000_000), "given");
  const { replica } = site.store;
  const { body } = objectOf(site).record;
  const manifest = body.kind === "manifests" ? body.manifests[0] : undefined;
  const [first, second] = (manifest && replica.manifest(manifest.hash)) ?? [];
  if (first === undefined || second === undefined) throw new Error("the body is small");
  expect(await replica.readChunk(first.hash, 0, first.bytes)).toHaveLength(first.bytes);
  spoil(site);
  expect(await replica.readChunk(first.hash, 0, first.bytes)).toBeUndefined();
  expect(await replica.readChunk(second.hash, 0, second.bytes)).toHaveLength(second.bytes);
  makeUnreadable(site);
  expect(await replica.readChunk(second.hash, 0, second.bytes)).toBeUndefined();
});

test("a row that leads to the body of another object gives none", async () => {
  const site = await siteWith(new Seed("mine").bytes(1000), "mixed up");
  const other = keyOf("dog.jpg");
  const { record } = objectOf(site);
  const bytes = new Seed("theirs").bytes(1000);
  await site.store.putObject({
    bucket,
    key: other,
    object: record,
    body: { kind: "inline", bytes },
  });
  const rowOf = (name: string) => indexKey(TABLES.object.prefix, `${bucket}\0${name}`);
  const value = site.kv.get(rowOf(other));
  if (value === undefined) throw new Error("the other object has no row");
  await site.kv.write([{ key: rowOf(key), value: Uint8Array.from(value) }]);
  await site.restart();
  const refused = expect.objectContaining({ name: StorageFault.name, kind: "corrupt" });
  await expect(readBody(site.store, objectOf(site), 0, 1000)).rejects.toEqual(refused);
});
