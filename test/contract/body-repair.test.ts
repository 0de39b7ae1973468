import { afterEach, expect, test } from "vitest";
import { StorageFault } from "../../src/core/faults.ts";
import type { Damage } from "../../src/storage/logical-rows.ts";
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
  const etag = "0".repeat(32);
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
    for (const answer of [undefined, Buffer.alloc(size - 1), Buffer.alloc(0)]) {
      site.store.rows.repairFrom(
        async () => answer,
        () => undefined,
      );
      await expect(read()).rejects.toEqual(refused);
    }
    expect(site.store.rows.mended()).toBe(0);
  },
);
