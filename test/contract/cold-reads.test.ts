import { afterEach, expect, test } from "vitest";
import { LIMITS } from "../../src/core/limits.ts";
import type { ObjectKey } from "../../src/core/names.ts";
import type { ReadFile } from "../../src/ports/disk.ts";
import type { StoredObject } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { recordOf } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * Small bodies are read on the main thread where they are in the page cache. It may not wait for a
 * disk there: whatever it reads has been read before, on another thread.
 */

afterEach(closeSimSites);

const BUCKET = bucketOf("photos");
const PAGE = LIMITS.pageBytes;

/** What is read of segments, page by page, on other threads and on the main one. */
type Reads = { readonly elsewhere: Set<string>; readonly here: Set<string>; count: number };

/** Follows what a site reads from its next start on; reads that touch a bad page fail. */
function follow({ machine: { disk } }: SimSite, bad: ReadonlySet<string> = new Set()): Reads {
  const reads: Reads = { elsewhere: new Set(), here: new Set(), count: 0 };
  const open = disk.openRead.bind(disk);
  const note = (into: Set<string>, path: string, offset: number, bytes: number): void => {
    for (let page = Math.floor(offset / PAGE); page * PAGE < offset + bytes; page++) {
      if (bad.has(`${path} ${page}`)) throw Object.assign(new Error("EIO"), { code: "EIO" });
      into.add(`${path} ${page}`);
    }
  };
  disk.openRead = async (path) => {
    const file = await open(path);
    const followed: ReadFile = {
      read: async (into, offset) => {
        reads.count += 1;
        note(reads.elsewhere, path, offset, into.length);
        return await file.read(into, offset);
      },
      readSync: (into, offset) => {
        note(reads.here, path, offset, into.length);
        return file.readSync(into, offset);
      },
      sizeBytes: () => file.sizeBytes(),
      close: () => file.close(),
    };
    return followed;
  };
  return reads;
}

type Filled = { readonly site: SimSite; readonly bodies: ReadonlyMap<ObjectKey, Buffer> };

async function fill(name: string, sizes: readonly number[]): Promise<Filled> {
  const site = await SimSite.open(name);
  const seed = new Seed(name);
  await site.store.createBucket({ name: BUCKET, owner: "o" });
  const bodies = new Map<ObjectKey, Buffer>();
  for (const [at, size] of sizes.entries()) {
    const key = keyOf(`k${at}`);
    const bytes = seed.bytes(size);
    const object = recordOf(bytes);
    await site.store.putObject({ bucket: BUCKET, key, object, body: { kind: "inline", bytes } });
    bodies.set(key, bytes);
  }
  return { site, bodies };
}

/** Reads a body as a GET does, and compares it; tells whether that was on the main thread. */
async function readAsClient({ site, bodies }: Filled, key: ObjectKey): Promise<boolean> {
  const bytes = bodies.get(key) ?? expect.unreachable();
  const object: StoredObject = site.store.object(BUCKET, key) ?? expect.unreachable();
  const small = site.store.readSmallBody(object, { start: 0, end: bytes.length });
  const read = small ?? (await readBody(site.store, object, 0, bytes.length));
  expect(bytes.equals(read)).toBe(true);
  return small !== undefined;
}

test.each([1, 2, 3])(
  "what is read on the main thread has been read before (%i)",
  async (number) => {
    const seed = new Seed(`cold ${number}`);
    const sizes = Array.from({ length: 150 }, () => {
      return seed.chance(0.1) ? 1 + seed.int(LIMITS.inlineBodyBytesMax) : 1 + seed.int(6000);
    });
    const filled = await fill(`cold ${number}`, sizes);
    const reads = follow(filled.site);
    await filled.site.restart();
    reads.count = 0;
    const keys = [...filled.bodies.keys()];
    for (let step = 0; step < 600; step++) {
      await readAsClient(filled, keys[seed.int(keys.length)] ?? keyOf("k0"));
      expect([...reads.here].filter((page) => !reads.elsewhere.has(page))).toEqual([]);
    }
    for (const key of keys) await readAsClient(filled, key);
    // What lies beside a small body is brought along.
    expect(reads.count).toBeLessThan(100);
    const before = reads.count;
    for (const key of keys) expect(await readAsClient(filled, key)).toBe(true);
    expect(reads.count).toBe(before);
  },
);

test("a body is read although the disk cannot read what lies beside it", async () => {
  const filled = await fill("bad neighbour", [3000, PAGE * 3, 3000, PAGE * 3, 3000]);
  const { site, bodies } = filled;
  const object = site.store.object(BUCKET, keyOf("k1")) ?? expect.unreachable();
  const { segment, offset } = object.place;
  const path = `${site.directory}/segments/seg-${String(segment).padStart(10, "0")}.atoll`;
  follow(site, new Set([`${path} ${Math.floor((offset + 2 * PAGE) / PAGE)}`]));
  await site.restart();
  for (const key of bodies.keys()) {
    if (key !== keyOf("k1")) await readAsClient(filled, key);
  }
  const size = bodies.get(keyOf("k1"))?.length ?? 0;
  await expect(readBody(site.store, object, 0, size)).rejects.toMatchObject({ kind: "corrupt" });
});
