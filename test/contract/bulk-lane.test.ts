import { afterEach, expect, test } from "vitest";
import type { ObjectKey } from "../../src/core/names.ts";
import { Seed } from "../sim/seed.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { recordOf } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * Bodies of more than 128 KiB are chunks in segments of their own. Those that wait for the disk at
 * the same time go into one write.
 */

afterEach(closeSimSites);

const BUCKET = bucketOf("photos");

type Body = { readonly key: ObjectKey; readonly bytes: Buffer };

async function openWithBucket(name: string): Promise<SimSite> {
  const site = await SimSite.open(name);
  await site.store.createBucket({ name: BUCKET, owner: "o" });
  return site;
}

function bodiesOf(name: string, sizes: readonly number[]): Body[] {
  const seed = new Seed(name);
  return sizes.map((size, at) => ({ key: keyOf(`${name} ${at}`), bytes: seed.bytes(size) }));
}

/** Stores bodies of which all chunks are finished at once; tells of each that is acknowledged. */
async function putTogether(
  { store }: SimSite,
  bodies: readonly Body[],
  acknowledged: (body: Body) => void,
): Promise<ReadonlyArray<PromiseSettledResult<void>>> {
  const writers = await Promise.all(
    bodies.map(async ({ bytes }) => {
      const writer = await store.stageBody();
      await writer.write(bytes);
      return writer;
    }),
  );
  const put = async (body: Body, at: number): Promise<void> => {
    const staged = (await writers[at]?.finish()) ?? expect.unreachable();
    const { key, bytes } = body;
    const object = recordOf(bytes);
    await store.putObject({ bucket: BUCKET, key, object, body: { kind: "staged", staged } });
    acknowledged(body);
  };
  return await Promise.allSettled(bodies.map(put));
}

async function expectAll(site: SimSite, bodies: Iterable<Body>): Promise<void> {
  for (const { key, bytes } of bodies) {
    const object = site.store.object(BUCKET, key) ?? expect.unreachable(`${key} is lost`);
    expect((await readBody(site.store, object, 0, bytes.length)).equals(bytes)).toBe(true);
  }
}

/** What the disk has written of segments since it was asked for. */
function countWrites({ machine, directory }: SimSite): () => number {
  let writes = 0;
  machine.disk.steps.failWhen(({ kind, path }) => {
    if (kind === "write" && path.startsWith(`${directory}/segments/`)) writes += 1;
    return undefined;
  });
  return () => writes;
}

test("bodies that are finished together share writes, up to some megabytes each", async () => {
  const site = await openWithBucket("together");
  const bodies = bodiesOf("together", Array(40).fill(150_000));
  const writes = countWrites(site);
  const acknowledged: Body[] = [];
  await putTogether(site, bodies, (body) => acknowledged.push(body));
  expect(acknowledged.length).toBe(40);
  // Six megabytes, after the first one that went alone; the commits of their objects are as few.
  expect(writes()).toBeLessThan(20);
  await expectAll(site, bodies);
  await site.restart(true);
  await expectAll(site, bodies);
});

test("bodies of all sizes that are finished together are all stored", async () => {
  const site = await openWithBucket("large");
  const bodies = bodiesOf("large", [5_000_000, 200_000, 4_194_304, 200_000, 9_000_000, 131_073]);
  const results = await putTogether(site, bodies, () => undefined);
  expect(results.map(({ status }) => status)).toEqual(Array(6).fill("fulfilled"));
  await expectAll(site, bodies);
  await site.restart();
  await expectAll(site, bodies);
});

test("when a write fails, everything in it hears so, and what comes later is stored", async () => {
  const site = await openWithBucket("failing");
  const made: string[] = [];
  let writes = 0;
  site.machine.disk.steps.failWhen(({ kind, path }) => {
    if (kind === "create") made.push(path);
    // Behind its header, in the second segment: the chunks that the first one had no room for.
    return kind === "write" && path === made[1] && ++writes === 2 ? "EIO" : undefined;
  });
  const bodies = bodiesOf("failing", Array(40).fill(150_000));
  const acknowledged: Body[] = [];
  const results = await putTogether(site, bodies, (body) => acknowledged.push(body));
  const failed = results.filter(({ status }) => status === "rejected");
  expect(failed.length).toBeGreaterThan(1);
  expect(failed.length + acknowledged.length).toBe(40);
  expect(acknowledged.length).toBeGreaterThan(1);
  const later = bodiesOf("later", [150_000, 150_000]);
  await putTogether(site, later, (body) => acknowledged.push(body));
  expect(acknowledged).toEqual(expect.arrayContaining(later));
  await expectAll(site, acknowledged);
  await site.restart(true);
  await expectAll(site, acknowledged);
});

test("a power cut between any two steps loses nothing that was acknowledged", async () => {
  let cuts = 0;
  for (let cutAt = 1; ; cutAt++) {
    const site = await openWithBucket(`cut ${cutAt}`);
    const { steps } = site.machine.disk;
    steps.cutPowerAt(steps.steps + cutAt);
    const acknowledged: Body[] = [];
    const bodies = bodiesOf("cut", Array(6).fill(150_000));
    const done = await Promise.race([
      putTogether(site, bodies, (body) => acknowledged.push(body)).then(() => true),
      steps.cut.then(() => false),
    ]);
    steps.cutPowerAt(Number.POSITIVE_INFINITY);
    if (done) break;
    cuts += 1;
    site.machine.cutPower();
    site.running = await site.machine.open();
    await expectAll(site, acknowledged);
    await putTogether(site, bodiesOf("again", [150_000]), (body) => acknowledged.push(body));
    await site.restart(true);
    await expectAll(site, acknowledged);
  }
  expect(cuts).toBeGreaterThan(4);
});
