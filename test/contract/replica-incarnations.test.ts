import { afterEach, expect, test } from "vitest";
import { dumpRows } from "../sim/sim-machine.ts";
import { handOverAll } from "../support/hand-over.ts";
import { contentsOf, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

/** The data directory turns out to be another one: the site begins another life. */
async function moveToAnotherDisk(site: SimSite): Promise<void> {
  await site.running.site.close();
  const { disk } = site.machine;
  const file = await disk.openRead("/srv/atoll/site.json");
  const text = Buffer.alloc(await file.sizeBytes());
  await file.read(text, 0);
  await file.close();
  const fields = { ...JSON.parse(text.toString()), inode: 12345 };
  const target = await disk.openWrite("/srv/atoll/site.json", "buffered");
  const changed = Buffer.from(JSON.stringify(fields));
  await target.truncate(0);
  await target.write(changed, 0);
  await target.sync();
  await target.close();
  site.running = await site.machine.open();
}

test("what an earlier incarnation wrote is told on, and signed for, by the later one", async () => {
  const a = await SimSite.open("incarnations a");
  const b = await SimSite.open("incarnations b");
  await setUp(a);
  await put(a.store, 0, 0, Buffer.from("before"));
  const before = a.store.replica.origin;
  const head = a.store.replica.received().get(before);
  await moveToAnotherDisk(a);
  const { replica } = a.store;
  expect(replica.origin).not.toBe(before);
  expect([...replica.ownOrigins].sort()).toEqual([before, replica.origin].sort());
  expect(replica.received().get(before)).toEqual(head);
  await put(a.store, 0, 1, Buffer.from("after"));
  await handOverAll(a, b);
  expect(await contentsOf(b.store)).toEqual(await contentsOf(a.store));
  expect(b.store.replica.applied()).toEqual(a.store.replica.applied());
  for (const site of [a, b]) {
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
});
