import { afterEach, expect, test } from "vitest";
import { TABLES } from "../../src/storage/metadata/rows.ts";
import { indexKey } from "../../src/storage/metadata/stored-rows.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { BUCKETS, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

test("an index that was doubted is doubted again by the start after one that died", async () => {
  const site = await SimSite.open("doubted");
  await setUp(site);
  await put(site.store, 0, 0, new Seed("doubted").bytes(100));
  const rows = dumpRows(site.kv, site.hash);
  // As if the power cut had taken something of the index away.
  const lost = indexKey(TABLES.object.prefix, `${BUCKETS[0]}\0a`);
  await site.kv.write([{ key: lost, value: undefined }]);
  await site.kv.sync();
  site.machine.cutPower();
  let dies = true;
  // It dies when it is about to remove that index.
  site.machine.disk.steps.failWhen(({ kind, path }) =>
    dies && kind === "remove" && path.includes("/index") ? "EIO" : undefined,
  );
  await expect(site.machine.open()).rejects.toMatchObject({ code: "EIO" });
  dies = false;
  site.running = await site.machine.open();
  expect(dumpRows(site.kv, site.hash)).toEqual(rows);
});
