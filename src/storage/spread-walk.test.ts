import { expect, test } from "vitest";
import { Seed } from "../../test/sim/seed.ts";
import { SimDisk } from "../../test/sim/sim-disk.ts";
import { openSimKv } from "../../test/sim/sim-kv.ts";
import type { Kv } from "../ports/kv.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import { SpreadWalk } from "./spread-walk.ts";

const TABLE = { prefix: "x" };

async function kvWith(keys: readonly string[]): Promise<Kv> {
  const disk = new SimDisk(new Seed("spread"), { directories: ["/srv"], nowMs: () => 0 });
  const kv = await openSimKv(disk)("/srv/index");
  const rows = [indexKey("w", "before"), indexKey("y", "behind")];
  rows.push(...keys.map((key) => indexKey(TABLE.prefix, key)));
  await kv.write(rows.map((key) => ({ key, value: Buffer.from("v") })));
  return kv;
}

function keysOf(walk: SpreadWalk): string[] {
  return [...walk.rows()].map(({ key }) => key);
}

test("a table is gone over a part at a time, and again from its beginning", async () => {
  const walk = new SpreadWalk(await kvWith(["a", "b", "c", "d", "é"]), TABLE, 2);
  expect(walk.isUnderWay).toBe(false);
  for (let round = 0; round < 2; round++) {
    expect([keysOf(walk), walk.isUnderWay]).toEqual([["a", "b"], true]);
    expect([keysOf(walk), walk.isUnderWay]).toEqual([["c", "d"], true]);
    expect([keysOf(walk), walk.isUnderWay]).toEqual([["é"], false]);
  }
});

test("what is as long as a part is gone over in one", async () => {
  const walk = new SpreadWalk(await kvWith(["a", "b"]), TABLE, 2);
  expect([keysOf(walk), walk.isUnderWay]).toEqual([["a", "b"], false]);
  const empty = new SpreadWalk(await kvWith([]), TABLE, 2);
  expect([keysOf(empty), empty.isUnderWay]).toEqual([[], false]);
});

test("a part that was given up is gone on with, also when its rows are gone", async () => {
  const kv = await kvWith(["a", "b", "c", "d"]);
  const walk = new SpreadWalk(kv, TABLE, 3);
  for (const { key } of walk.rows()) if (key === "b") break;
  expect(walk.isUnderWay).toBe(true);
  const gone = ["a", "b", "c"].map((key) => indexKey(TABLE.prefix, key));
  await kv.write(gone.map((key) => ({ key, value: undefined })));
  expect([keysOf(walk), walk.isUnderWay]).toEqual([["d"], false]);
});
