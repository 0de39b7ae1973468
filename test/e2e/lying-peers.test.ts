import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildShim } from "../crash/shim.ts";
import { keysOf } from "../support/forged-peer.ts";
import { type Lie, type LyingRelay, openLyingRelay } from "../support/lying-relay.ts";
import { patternBytes, refusalOf } from "../support/sdk.ts";
import {
  joinTo,
  type RunningSite,
  startCluster,
  startSite,
  until,
  untilInSync,
} from "../support/sites.ts";

const Bucket = "things";
const LARGE_BYTES = 300_000;
const HOUR_MS = 3_600_000;
const AHEAD_MS = 30_000;
const ENDLESS_BYTES_MAX = 64 * 1024 * 1024;

async function refusedOf(site: RunningSite): Promise<Record<string, number>> {
  return (await site.asked("sites"))["refused_messages"] as Record<string, number>;
}

describe("a site whose peer lies", () => {
  let berlin: RunningSite;
  let paris: RunningSite;
  let relay: LyingRelay;
  let number = 0;

  beforeAll(async () => {
    [berlin, paris] = (await startCluster([{ name: "berlin" }, { name: "paris" }])) as [
      RunningSite,
      RunningSite,
    ];
    await paris.s3().send(new CreateBucketCommand({ Bucket }));
    await untilInSync([berlin, paris]);
    // Berlin may ask on while paris stops.
    const behind = () => (paris.isRunning() ? paris.server().port : undefined);
    relay = await openLyingRelay(keysOf(paris), behind);
    paris.wire.aim(relay.port);
  });

  afterAll(async () => {
    await berlin.close();
    await paris.close();
    await relay.close();
  });

  function flipped(body: Buffer, at: number): Buffer {
    const bytes = Buffer.from(body);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  }

  const isPull = (path: string): boolean => path.startsWith("/v1/repl/pull");
  const isChunk = (path: string): boolean => path.startsWith("/v1/repl/chunk");

  const LIES: ReadonlyArray<readonly [name: string, lie: Lie]> = [
    [
      "about a chunk: other bytes under its hash",
      ({ path, status, body }) =>
        isChunk(path) && status === 200
          ? { kind: "signed", body: flipped(body, body.length - 1) }
          : { kind: "as-it-is" },
    ],
    [
      "about a chunk: more bytes than there are",
      ({ path, status, body }) =>
        isChunk(path) && status === 200
          ? { kind: "signed", body: Buffer.concat([body, body]) }
          : { kind: "as-it-is" },
    ],
    [
      "about an operation",
      ({ path, body }) => {
        // page-frame.ts: the head's bytes stand at 5, those of the operations at 9, and both follow from 17.
        const operations = isPull(path) && body.length > 17 ? body.readUInt32LE(9) : 0;
        if (operations <= 100) return { kind: "as-it-is" };
        const middle = 17 + body.readUInt32LE(5) + Math.floor(operations / 2);
        return { kind: "signed", body: flipped(body, middle) };
      },
    ],
    [
      "with a page that ends early",
      ({ path, body }) =>
        isPull(path) ? { kind: "signed", body: body.subarray(0, -7) } : { kind: "as-it-is" },
    ],
    [
      "with a page of nonsense",
      ({ path }) =>
        isPull(path) ? { kind: "signed", body: Buffer.alloc(5000, 7) } : { kind: "as-it-is" },
    ],
    [
      "with a page beyond all bounds",
      ({ path }) =>
        isPull(path)
          ? { kind: "signed", body: Buffer.alloc(20 * 1024 * 1024, 7) }
          : { kind: "as-it-is" },
    ],
    [
      "through somebody on the way who alters answers",
      ({ body }) => ({ kind: "altered", body: flipped(body, 0) }),
    ],
    [
      "through somebody on the way who alters the status",
      ({ status }) => ({ kind: "altered", status: status === 200 ? 404 : 200 }),
    ],
    [
      "through somebody on the way who signs with a key of their own",
      ({ headers }) => ({
        kind: "altered",
        headers: { ...headers, signature: `sig=:${Buffer.alloc(64, 3).toString("base64")}:` },
      }),
    ],
    ["by ending in the middle", () => ({ kind: "cut" })],
    ["by never ending", () => ({ kind: "endless" })],
  ];

  test.each(LIES)("%s: nothing of it is taken, and the truth is, later", async (_name, lie) => {
    number += 1;
    const [small, large] = [`small-${number}`, `large-${number}`];
    const body = patternBytes(LARGE_BYTES, number);
    relay.tell(lie);
    await paris.s3().send(new PutObjectCommand({ Bucket, Key: large, Body: body }));
    await paris.s3().send(new PutObjectCommand({ Bucket, Key: small, Body: "small" }));
    await until("paris has lied", async () => (relay.lies() > 0 ? true : undefined));
    await until("berlin says that something is wrong with paris", async () => {
      const { peers } = (await berlin.asked("repl-status")) as {
        peers: Record<string, { state: string; last_error: { message: string } | null }>;
      };
      const paris = peers["paris"];
      return paris?.state !== "in-sync" && paris?.last_error !== null ? true : undefined;
    });
    expect(await refusalOf(berlin.s3().send(new HeadObjectCommand({ Bucket, Key: large })))).toBe(
      "404 NotFound",
    );
    expect(relay.endlessBytes()).toBeLessThan(ENDLESS_BYTES_MAX);
    relay.tell(() => ({ kind: "as-it-is" }));
    // A peer that lied is left alone for a while, unless somebody asks it by hand.
    await until("berlin takes what paris says now", async () =>
      (await berlin.atoll("repl-pull", "--peer", "paris")).status === 0 ? true : undefined,
    );
    await untilInSync([berlin, paris]);
    const got = await berlin.s3().send(new GetObjectCommand({ Bucket, Key: large }));
    const bytes = (await got.Body?.transformToByteArray()) ?? new Uint8Array(0);
    expect(body.equals(bytes)).toBe(true);
    const { stdout, status } = await berlin.atoll("repl-verify", "--peer", "paris");
    expect([status, stdout]).toEqual([0, expect.any(String)]);
  });
});

describe("a site whose peer's clock is far ahead", () => {
  test("takes nothing from the future, and all of it when its time has come", async () => {
    const ahead = { LD_PRELOAD: await buildShim(), UV_USE_IO_URING: "0" };
    const env = { ...ahead, CRASH_CLOCK_MS: String(AHEAD_MS) };
    const berlin = await startSite({ name: "berlin" });
    const paris = await startSite({ name: "paris", env });
    const put = { Bucket, Key: "from-the-future", Body: "later" };
    // A site that has peers would not believe such a clock, and refuse to write.
    await paris.s3().send(new CreateBucketCommand({ Bucket }));
    await paris.s3().send(new PutObjectCommand(put));
    await joinTo(berlin, paris);
    await until("berlin holds what is from the future", async () => {
      const { quarantined } = await berlin.asked("repl-status");
      return Object.keys(Object(quarantined)).length > 0 ? true : undefined;
    });
    const own = "berlin";
    await berlin.s3().send(new CreateBucketCommand({ Bucket: own }));
    const stored = await berlin
      .s3()
      .send(new PutObjectCommand({ Bucket: own, Key: "now", Body: "" }));
    expect(stored.$metadata.httpStatusCode).toBe(200);
    const { LastModified } = await berlin
      .s3()
      .send(new HeadObjectCommand({ Bucket: own, Key: "now" }));
    // Its own clock was not moved by the other's.
    expect(Number(LastModified)).toBeLessThan(Date.now() + AHEAD_MS / 2);
    await untilInSync([berlin, paris]);
    const got = await berlin.s3().send(new GetObjectCommand({ Bucket, Key: put.Key }));
    expect(await got.Body?.transformToString()).toBe("later");
    await berlin.close();
    await paris.close();
  });
});

describe("a join token", () => {
  test("is good for one site, and only in its time", async () => {
    const late = { LD_PRELOAD: await buildShim(), UV_USE_IO_URING: "0" };
    const lateEnv = { ...late, CRASH_CLOCK_MS: String(2 * HOUR_MS) };
    const berlin = await startSite({ name: "berlin" });
    const paris = await startSite({ name: "paris" });
    const oslo = await startSite({ name: "oslo" });
    const reach = (site: RunningSite) => ["--address", site.address, "--insecure-peer"];
    const { token } = await berlin.told("repl-invite", ...reach(berlin), "--hours", "1");
    const join = (site: RunningSite) => site.atoll("repl-join", String(token), ...reach(site));
    expect((await join(paris)).status).toBe(0);
    const before = await oslo.asked("sites");
    const again = await join(oslo);
    expect([again.status !== 0, again.stdout]).toEqual([true, ""]);
    expect(again.stderr).toMatch(/used by another site/);
    expect(await oslo.asked("sites")).toEqual(before);
    expect((await refusedOf(berlin))["token"]).toBe(1);
    // Nobody is left who could tell the site that its clock is wrong.
    await paris.close();
    const second = await berlin.told("repl-invite", ...reach(berlin), "--hours", "1");
    const dozed = await startSite({ name: "dozed", env: lateEnv });
    await berlin.kill();
    await berlin.start(lateEnv);
    const tooLate = await dozed.atoll("repl-join", String(second["token"]), ...reach(dozed));
    expect([tooLate.status !== 0, tooLate.stdout]).toEqual([true, ""]);
    expect(tooLate.stderr).toMatch(/late|expired/);
    expect(((await berlin.asked("sites"))["sites"] as unknown[]).length).toBe(2);
    await joinTo(berlin, dozed);
    for (const site of [berlin, oslo, dozed]) await site.close();
  });
});
