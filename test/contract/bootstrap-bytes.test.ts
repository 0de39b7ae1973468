import { afterEach, expect, test } from "vitest";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import type { LogicalRows } from "../../src/storage/logical-rows.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { takeAllRows } from "../support/logical-rows.ts";
import { fetchFrom, linkRows } from "../support/row-link.ts";
import { BUCKETS, put, removeVersion, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * Bytes that a site has are not fetched with a row that names them. They may go before the row is
 * taken, with what had named them here.
 */

afterEach(closeSimSites);

const VERSIONED = BUCKETS[1] ?? bucketOf("versioned");
const [OLD, NEW] = [keyOf("a"), keyOf("a/b")];
const LARGE = Buffer.alloc(300_000, "large");

async function twoSites(name: string): Promise<[SimSite, SimSite]> {
  const from = await SimSite.open(`${name} from`);
  await setUp(from);
  return [from, await SimSite.open(`${name} to`)];
}

/** Takes over all rows; `meanwhile` happens before the first of them are stored. */
async function takeOver(
  from: SimSite,
  to: SimSite,
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const { calls } = linkRows(from, to);
  const source = {
    site: from.running.site.identity.siteId,
    start: calls.start.bind(calls),
    rows: calls.rows.bind(calls),
  };
  let first: Promise<void> | undefined;
  const rows: LogicalRows = {
    ...to.store.rows,
    import: async (step) => {
      first ??= meanwhile();
      await first;
      return await to.store.rows.import(step);
    },
  };
  const deps = { rows, clock: to.clock, log: createMemoryLog(), fetch: fetchFrom(from, to) };
  const run = new BootstrapRun({ ...deps, own: () => to.running.site.identity.origin }, source);
  await run.run(new AbortController().signal);
  expect(run.progress()).toMatchObject({ state: "done", skipped: 0 });
}

/** Another object with the bytes of one, in the same place. */
async function copy({ store }: SimSite): Promise<void> {
  const source = store.object(VERSIONED, OLD);
  if (source === undefined) throw new Error("nothing to copy");
  const { size, etag, attributes } = source.record;
  const object = { size, etag, attributes, checksums: [], parts: [], encryption: undefined };
  const body = { kind: "shared", source } as const;
  await store.putObject({ bucket: VERSIONED, key: NEW, object, body });
}

async function expectTaken(site: SimSite): Promise<void> {
  expect(site.store.object(VERSIONED, OLD)).toBeUndefined();
  const object = site.store.object(VERSIONED, NEW);
  if (object === undefined) throw new Error("a row was left out");
  expect((await readBody(site.store, object, 0, LARGE.length)).equals(LARGE)).toBe(true);
  const kept = dumpRows(site.kv, site.hash);
  await site.restart(true);
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
}

test("a row takes over the bytes of a version whose removal comes in front of it", async () => {
  const [from, to] = await twoSites("moved");
  await put(from.store, 1, 0, LARGE);
  await takeAllRows(from, to.store, 100);
  await copy(from);
  await removeVersion(from.store, { bucket: VERSIONED, key: OLD });
  await takeOver(from, to);
  await expectTaken(to);
});

test("bytes that a client takes away before their row is stored are fetched once more", async () => {
  const [from, to] = await twoSites("raced");
  await takeAllRows(from, to.store, 100);
  await put(to.store, 1, 0, LARGE);
  await put(from.store, 1, 1, LARGE);
  await takeOver(from, to, () => removeVersion(to.store, { bucket: VERSIONED, key: OLD }));
  await expectTaken(to);
});
