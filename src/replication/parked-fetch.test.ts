import { expect, test, vi } from "vitest";
import { openTwins, type TwinSite, writeSmall } from "../../test/support/replication-twins.ts";
import { LIMITS } from "../core/limits.ts";

/** Three chunks are never fetched with their page: the operation is parked. */
function writeHuge({ replica }: TwinSite, byte: number): void {
  const pieces = [1, 2, 3].map((piece) => Buffer.alloc(LIMITS.chunkBytes, byte * 4 + piece));
  replica.writeLarge(`huge ${byte}`, pieces);
}

test("a site that does not answer any more keeps no bytes of another one waiting", async () => {
  const { clock, site, start, stop, world } = await openTwins(["berlin", "oslo", "paris"]);
  const [berlin, oslo, paris] = [site("berlin"), site("oslo"), site("paris")];
  // It has told what it wrote, and stands still.
  world.meddle = (to, { path }, deliver) => {
    const isTold = path === "/v1/repl/pull" || path === "/v1/repl/hint";
    return to === "berlin" && !isTold ? new Promise(() => undefined) : deliver();
  };
  for (let byte = 1; byte <= 6; byte++) writeHuge(berlin, byte);
  start();
  await clock.advance(1000);
  expect(paris.replica.parked()).toHaveLength(6);
  for (let byte = 11; byte <= 13; byte++) {
    writeHuge(oslo, byte);
    await clock.advance(1000);
  }
  expect(paris.replica.applied().get(oslo.owner.origin)).toBe(3);
  await stop();
});

test("a site at rest does not look for what is parked", async () => {
  const { clock, site, start, stop } = await openTwins(["berlin"]);
  const { replica } = site("berlin");
  writeHuge(site("berlin"), 1);
  start();
  await clock.advance(5000);
  const looks = [vi.spyOn(replica, "parked"), vi.spyOn(replica, "received")];
  await clock.advance(30 * 60_000);
  expect(looks.map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
  await stop();
});

test("who does not answer is asked last, also for what it wrote itself", async () => {
  const { clock, cut, site, start, stop } = await openTwins(["berlin", "oslo", "paris"]);
  const [berlin, oslo, paris] = [site("berlin"), site("oslo"), site("paris")];
  start();
  await clock.advance(1000);
  const { id } = berlin.member;
  const order = () => paris.replication.callsOf(id).map(({ peer }) => peer.name);
  expect(order()).toEqual(["berlin", "oslo"]);
  cut("berlin", "paris");
  await clock.advance(30_000);
  expect(order()).toEqual(["oslo", "berlin"]);
  writeHuge(berlin, 1);
  await clock.advance(30_000);
  expect(oslo.replica.parked()).toEqual([]);
  expect(paris.replica.applied().get(berlin.owner.origin)).toBe(1);
  await stop();
});

test("what comes with operations of a site that does not answer waits for one of them", async () => {
  const { clock, cut, site, start, stop, world } = await openTwins(["berlin", "oslo", "paris"]);
  const [berlin, oslo, paris] = [site("berlin"), site("oslo"), site("paris")];
  cut("berlin", "paris");
  world.meddle = async (to, { path }, deliver) => {
    if (to !== "berlin" || path !== "/v1/repl/manifests") return deliver();
    await clock.sleep(15_000);
    throw new Error("no answer");
  };
  for (let byte = 0; byte < 24; byte++) {
    berlin.replica.writeLarge(`large ${byte}`, [Buffer.alloc(200_000, byte)]);
  }
  start();
  // Oslo has them all without their bytes.
  await clock.advance(95_000);
  expect(oslo.replica.received().get(berlin.owner.origin)?.seq).toBe(24);
  writeSmall(oslo, "small");
  await clock.advance(40_000);
  expect(paris.replica.applied().get(oslo.owner.origin)).toBe(1);
  await stop();
});

test("while rows are taken over, which may end what is parked, no bytes of it are fetched", async () => {
  const { clock, site, start, stop, world } = await openTwins(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  const isForBodies = (path: string) => /manifests|chunk/.test(path);
  world.meddle = (_to, { path }, deliver) =>
    isForBodies(path) ? Promise.reject(new Error("the link was cut")) : deliver();
  writeHuge(berlin, 1);
  start();
  await clock.advance(3000);
  expect(paris.replica.parked()).toHaveLength(1);
  world.takingOver = "paris";
  world.meddle = undefined;
  await clock.advance(10_000);
  const before = paris.asked.filter(({ path }) => isForBodies(path)).length;
  await clock.advance(600_000);
  expect(paris.asked.filter(({ path }) => isForBodies(path))).toHaveLength(before);
  expect(paris.replica.parked()).toHaveLength(1);
  world.takingOver = undefined;
  await clock.advance(10_000);
  expect(paris.replica.parked()).toEqual([]);
  await stop();
});
