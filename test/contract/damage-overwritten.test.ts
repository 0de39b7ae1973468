import { afterEach, expect, test } from "vitest";
import { dumpRows } from "../sim/sim-machine.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const PLAIN = bucketOf("plain");
const [FIRST, COPY] = [keyOf("a"), keyOf("a/b")];
const LARGE = Buffer.alloc(300_000, "large");

async function contentOf({ store }: SimSite, key: typeof FIRST): Promise<Buffer> {
  const object = store.object(PLAIN, key);
  if (object === undefined) throw new Error("no object");
  return readBody(store, object, 0, LARGE.length);
}

test("what is stored once more takes the place of damaged bytes, for all objects that name them", async () => {
  const site = await SimSite.open("damage-overwritten");
  await setUp(site);
  await put(site.store, 0, 0, LARGE);
  await put(site.store, 0, 1, LARGE);
  const object = site.store.object(PLAIN, FIRST);
  if (object === undefined) throw new Error("no object");
  site.spoil(object);
  await expect(contentOf(site, COPY)).rejects.toThrow("damaged");
  await put(site.store, 0, 0, LARGE);
  for (const rebuilds of [false, true]) {
    for (const key of [FIRST, COPY]) expect((await contentOf(site, key)).equals(LARGE)).toBe(true);
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(rebuilds);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
});
