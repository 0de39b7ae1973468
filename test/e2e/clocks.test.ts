import { afterEach, expect, test } from "vitest";
import { buildShim } from "../crash/shim.ts";
import { type RawAnswer, sendSigned } from "../support/raw-http.ts";
import { type RunningSite, startCluster, until, untilInSync } from "../support/sites.ts";

/** A moment to start servers, and for time to catch up. */
const TIMEOUT_MS = 300_000;
/** What a clock may be ahead, and so much more that a slow machine has time to look at it. */
const DRIFT_MS = 5000;
const AHEAD_MS = 60_000;
/** Ahead, and still heard by clients and peers. */
const FUTURE_MS = 600_000;
/** No message of a peer is believed that is dated a quarter of an hour from the own time. */
const UNHEARD_MS = 3_600_000;

let sites: RunningSite[] = [];

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

function send(site: RunningSite, method: string, path: string, body = ""): Promise<RawAnswer> {
  const headers = { "content-length": String(body.length) };
  return sendSigned(site.server(), { method, path, headers, body });
}

/** The wall clock that a write was stamped with, from its token. */
function tokenMs({ headers }: RawAnswer): number {
  const hlc = Buffer.from(headers["x-atoll-token"] ?? "", "base64url").readBigUInt64BE(17);
  return Number(hlc >> 16n);
}

/** The early write of oslo is known to a site, and not shown. */
async function expectHeldBack(site: RunningSite): Promise<void> {
  await until(`${site.name} holds oslo back`, async () => {
    const { quarantined } = await site.told("repl-status");
    const [held] = Object.values(quarantined as Record<string, { ahead_seconds: number }>);
    if (held === undefined) return undefined;
    expect(held.ahead_seconds).toBeGreaterThan(0);
    return true;
  });
  await until(`${site.name} knows what oslo has`, async () => {
    const { peers } = await site.told("repl-status");
    const { oslo: peer } = peers as { oslo: { buckets: Record<string, unknown> } };
    if (peer.buckets["photos"] === undefined) return undefined;
    expect(peer.buckets["photos"]).toMatchObject({ operations_ahead: 1, bytes_ahead: 1 });
    return true;
  });
  expect((await send(site, "GET", "/photos/early")).status).toBe(404);
}

/** What a site writes itself goes on: its own clock has followed by no more than it may. */
async function expectOwnTime(site: RunningSite): Promise<void> {
  const now = await send(site, "PUT", `/photos/${site.name}`, "x");
  expect(tokenMs(now)).toBeLessThan(Date.now() + DRIFT_MS + 1000);
}

test(
  "a site whose clock is ahead stops, is held back when it goes on, and arrives in time",
  async () => {
    const ahead = {
      ...{ LD_PRELOAD: await buildShim(), CRASH_CLOCK_MS: String(AHEAD_MS) },
      UV_USE_IO_URING: "0",
    };
    sites = await startCluster([
      { name: "berlin" },
      { name: "paris", engine: "node" },
      { name: "oslo", env: ahead },
    ]);
    const [berlin, paris, oslo] = sites;
    if (berlin === undefined || paris === undefined || oslo === undefined) throw new Error("three");
    await send(berlin, "PUT", "/photos");
    await until("oslo has seen that its clock is ahead of the others'", async () => {
      const clock = await oslo.told("clock", "show");
      if (clock["state"] !== "jumped") return undefined;
      expect(clock).toMatchObject({ witness: "peers" });
      return true;
    });
    const refused = await send(oslo, "PUT", "/photos/early", "x");
    expect([refused.status, refused.code]).toEqual([503, "ServiceUnavailable"]);
    expect((await send(oslo, "GET", "/photos/early")).status).toBe(404);
    expect((await berlin.told("clock", "show"))["state"]).toBe("trusted");

    expect(await oslo.told("clock", "accept")).toMatchObject({ accepted: true, state: "trusted" });
    const early = await send(oslo, "PUT", "/photos/early", "x");
    expect(early.status).toBe(200);
    expect(tokenMs(early)).toBeGreaterThan(Date.now() + AHEAD_MS / 2);
    // Only then: oslo may have what one of them writes before the other has it.
    await Promise.all([berlin, paris].map(expectHeldBack));
    await Promise.all([berlin, paris].map(expectOwnTime));
    await until("paris has what berlin wrote meanwhile", async () => {
      const { status } = await send(paris, "GET", "/photos/berlin");
      return status === 200 ? true : undefined;
    });
    for (const site of [berlin, paris]) {
      await until(`time has caught up at ${site.name}`, async () => {
        const { status } = await send(site, "GET", "/photos/early");
        return status === 200 ? true : undefined;
      });
      expect(site.server().log().split("operations of a site whose clock is ahead")).toHaveLength(
        2,
      );
    }
    await untilInSync(sites);
    expect((await berlin.told("repl-status"))["quarantined"]).toEqual({});
  },
  TIMEOUT_MS,
);

test(
  "a site that starts with a clock so far ahead that nobody hears it is told so, and stops",
  async () => {
    sites = await startCluster([{ name: "berlin" }, { name: "paris" }, { name: "oslo" }]);
    const [berlin, , oslo] = sites;
    if (berlin === undefined || oslo === undefined) throw new Error("three");
    await untilInSync(sites);
    await oslo.kill();
    const shim = { LD_PRELOAD: await buildShim(), UV_USE_IO_URING: "0" };
    await oslo.start({ ...shim, CRASH_CLOCK_MS: String(UNHEARD_MS) });
    await until("oslo has been told that its clock is ahead", async () => {
      const clock = await oslo.told("clock", "show");
      if (clock["state"] !== "jumped") return undefined;
      expect(clock).toMatchObject({ witness: "peers" });
      return true;
    });
    const key = await oslo.atoll("keys", "create", "--name", "late", "--grant", "own");
    expect([key.status, key.stderr]).toEqual([1, expect.stringContaining("has jumped")]);
    expect((await berlin.told("clock", "show"))["state"]).toBe("trusted");
    await oslo.kill();
    await oslo.start({});
    await untilInSync(sites);
  },
  TIMEOUT_MS,
);

test(
  "what a site wrote in the future is issued again with the time of now",
  async () => {
    sites = await startCluster([{ name: "berlin" }, { name: "oslo" }]);
    const [berlin, oslo] = sites;
    if (berlin === undefined || oslo === undefined) throw new Error("two");
    await send(berlin, "PUT", "/photos");
    await untilInSync(sites);
    expect(await reissued(oslo)).toMatchObject({ operations: 0 });
    const shim = { LD_PRELOAD: await buildShim(), UV_USE_IO_URING: "0" };
    // Of two sites neither outvotes the other: this one goes on.
    await oslo.start({ ...shim, CRASH_CLOCK_MS: String(FUTURE_MS) });
    for (const key of ["early", "late"]) {
      const put = await send(oslo, "PUT", `/photos/${key}`, key);
      expect([put.status, tokenMs(put) > Date.now() + FUTURE_MS / 2]).toEqual([200, true]);
    }
    expect((await send(oslo, "DELETE", "/photos/early")).status).toBe(204);
    const told = await reissued(oslo);
    expect(told["operations"]).toBeGreaterThanOrEqual(3);
    expect(Date.parse(String(told["latest"]))).toBeGreaterThan(Date.now() + FUTURE_MS / 2);
    expect(await reissued(oslo)).toMatchObject({ operations: 0 });
    await oslo.start({});
    await untilInSync(sites);
    for (const site of sites) {
      const late = await send(site, "GET", "/photos/late");
      expect([late.status, late.body.toString()]).toEqual([200, "late"]);
      const modified = Date.parse(late.headers["last-modified"] ?? "");
      expect(modified).toBeLessThanOrEqual(Date.now());
      expect((await send(site, "GET", "/photos/early")).status).toBe(404);
    }
    const now = await send(oslo, "PUT", "/photos/now", "x");
    expect(tokenMs(now)).toBeLessThan(Date.now() + DRIFT_MS);
  },
  TIMEOUT_MS,
);

async function reissued(site: RunningSite): Promise<Record<string, unknown>> {
  if (site.isRunning()) await site.kill();
  return site.told("clock", "reissue");
}
