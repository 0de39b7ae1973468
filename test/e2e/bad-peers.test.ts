import { connect } from "node:net";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildShim } from "../crash/shim.ts";
import {
  digestOf,
  keysOf,
  type MessageWish,
  type PeerKeys,
  type PeerMessage,
  signedMessage,
  strangeKey,
  wireBytes,
  withHeaders,
} from "../support/forged-peer.ts";
import { type Lie, type LyingRelay, openLyingRelay } from "../support/lying-relay.ts";
import { type RawAnswer, sendBytes } from "../support/raw-http.ts";
import { patternBytes, refusalOf } from "../support/sdk.ts";
import { ENGINES } from "../support/server.ts";
import {
  joinTo,
  peerStates,
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
/** How often each bad message is sent: it is logged once, and counted each time. */
const TIMES = 3;

async function refusedOf(site: RunningSite): Promise<Record<string, number>> {
  return (await site.asked("sites"))["refused_messages"] as Record<string, number>;
}

function reasonOf(answer: RawAnswer | undefined): string {
  const { error } = JSON.parse(answer?.body || '{"error":{}}') as { error: { reason?: string } };
  return `${answer?.status} ${error.reason}`;
}

/** What a message that was taken would have changed. */
async function stateOf(site: RunningSite): Promise<unknown> {
  const { sites, cluster } = await site.asked("sites");
  const { buckets } = await site.asked("status");
  const peers = await peerStates(site);
  return { sites, cluster, buckets, peers };
}

describe.each(ENGINES)("a site on %s believes no message that is", (engine) => {
  let berlin: RunningSite;
  let paris: RunningSite;
  let keys: PeerKeys;
  let to = "";
  let session = "";

  beforeAll(async () => {
    [berlin, paris] = (await startCluster([{ name: "berlin", engine }, { name: "paris" }])) as [
      RunningSite,
      RunningSite,
    ];
    await untilInSync([berlin, paris]);
    keys = keysOf(paris);
    to = keysOf(berlin).site;
    // From here on paris is whoever has its keys.
    await paris.kill();
    session = await sessionOf(berlin);
    await until("berlin finds nobody in paris", async () =>
      (await peerStates(berlin)).get("paris") === "unreachable" ? true : undefined,
    );
  });

  afterAll(async () => {
    await berlin.close();
    await paris.close();
  });

  /** A stranger is told which process of the site is running; a peer signs for that one. */
  async function sessionOf(site: RunningSite): Promise<string> {
    const answer = await send(messageTo(site, { session: "none" }));
    expect(reasonOf(answer)).toBe("401 session");
    return answer?.headers["x-atoll-session"] ?? "";
  }

  function messageTo(site: RunningSite, change: Partial<MessageWish> = {}): PeerMessage {
    const body = JSON.stringify({
      ...{ received: [], applied: [], wallMs: Date.now(), featureLevel: 1 },
    });
    const { host } = site.server();
    return signedMessage({ target: "/v1/repl/hint", body, keys, host, to, session, ...change });
  }

  function send(message: PeerMessage): Promise<RawAnswer | undefined> {
    return sendBytes(berlin.server(), wireBytes(message));
  }

  test("made by hand and right, so that the others are wrong by one thing only", async () => {
    const before = await refusedOf(berlin);
    expect((await send(messageTo(berlin)))?.status).toBe(200);
    expect(await refusedOf(berlin)).toEqual(before);
  });

  const long = "x".repeat(1_000_000);
  const BAD: ReadonlyArray<readonly [name: string, answer: string, make: () => PeerMessage]> = [
    [
      "not signed",
      "401 unsigned",
      () => withHeaders(messageTo(berlin), { "signature-input": undefined, signature: undefined }),
    ],
    [
      "signed in another form",
      "401 unsigned",
      () => {
        const message = messageTo(berlin);
        const input = message.headers.get("signature-input") ?? "";
        return withHeaders(message, { "signature-input": input.replace(' "content-digest"', "") });
      },
    ],
    [
      "altered in its body",
      "401 altered",
      () => {
        const message = messageTo(berlin);
        return {
          ...message,
          body: Buffer.from(String(message.body).replace("received", "deceived")),
        };
      },
    ],
    [
      "altered in its body, with a digest that fits",
      "401 altered",
      () => {
        const message = messageTo(berlin);
        const body = Buffer.from(String(message.body).replace("received", "deceived"));
        return withHeaders({ ...message, body }, { "content-digest": digestOf(body) });
      },
    ],
    [
      "altered in its path",
      "401 altered",
      () => ({ ...messageTo(berlin), target: "/v1/repl/pull" }),
    ],
    [
      "altered in its query",
      "401 altered",
      () => ({ ...messageTo(berlin), target: "/v1/repl/hint?a" }),
    ],
    [
      "sent to another address than it was signed for",
      "401 altered",
      () => withHeaders(messageTo(berlin), { host: "elsewhere.example.org:9000" }),
    ],
    [
      "altered in its date",
      "401 altered",
      () => withHeaders(messageTo(berlin), { date: new Date(Date.now() + 5000).toUTCString() }),
    ],
    [
      "signed with a key that the site does not have",
      "401 altered",
      () => messageTo(berlin, { keys: { ...keys, privateKey: strangeKey() } }),
    ],
    ["expired", "401 clock", () => messageTo(berlin, { date: new Date(Date.now() - HOUR_MS) })],
    [
      "of the future",
      "401 clock",
      () => messageTo(berlin, { date: new Date(Date.now() + HOUR_MS) }),
    ],
    [
      "of another cluster",
      "401 wrong-cluster",
      () => messageTo(berlin, { keys: { ...keys, cluster: "0".repeat(32) } }),
    ],
    [
      "of a site that nobody knows",
      "401 unknown-site",
      () => messageTo(berlin, { keys: { ...keys, site: "0".repeat(16) } }),
    ],
    [
      "what the site signed itself",
      "401 unknown-site",
      () => messageTo(berlin, { keys: keysOf(berlin) }),
    ],
    ["meant for another site", "401 wrong-site", () => messageTo(berlin, { to: keys.site })],
    ["larger than its kind may be", "413 too-large", () => messageTo(berlin, { body: long })],
    ["no JSON", "400 malformed", () => messageTo(berlin, { body: "{" })],
    ["JSON of something else", "400 malformed", () => messageTo(berlin, { body: "[1,2]" })],
    [
      "JSON beyond its bounds",
      "400 malformed",
      () => messageTo(berlin, { body: JSON.stringify({ received: [["x", -1]], applied: 3 }) }),
    ],
  ];

  test.each(BAD)("%s", async (_name, answer, make) => {
    const before = await stateOf(berlin);
    const counted = await refusedOf(berlin);
    const reason = answer.slice(4);
    for (let time = 0; time < TIMES; time++) {
      const got = await send(make());
      // What is wrong within a message of a peer is told to it in the words of its route.
      expect(reason === "malformed" ? `${got?.status} malformed` : reasonOf(got)).toBe(answer);
    }
    const now = await refusedOf(berlin);
    expect(now).toEqual({ ...counted, [reason]: (counted[reason] ?? 0) + TIMES });
    expect(await stateOf(berlin)).toEqual(before);
  });

  test("replayed", async () => {
    const message = messageTo(berlin);
    expect((await send(message))?.status).toBe(200);
    for (let time = 0; time < TIMES; time++) {
      expect(reasonOf(await send(message))).toBe("401 replayed");
    }
    expect((await refusedOf(berlin))["replayed"]).toBe(TIMES);
  });

  test("of an earlier life of the site, which its peer signs anew", async () => {
    const message = messageTo(berlin);
    await berlin.kill();
    await berlin.start();
    const fresh = withHeaders(message, { host: message.headers.get("host") });
    const answer = await send(fresh);
    expect(reasonOf(answer)).toBe("401 session");
    session = answer?.headers["x-atoll-session"] ?? "";
    expect((await send(messageTo(berlin)))?.status).toBe(200);
  });

  test("truncated: it never came", async () => {
    const before = await stateOf(berlin);
    const bytes = wireBytes(messageTo(berlin));
    expect(await sendBytes(berlin.server(), bytes.subarray(0, -10), { thenEnd: true })).toSatisfy(
      (answer: RawAnswer | undefined) => answer === undefined || answer.status >= 400,
    );
    expect(await stateOf(berlin)).toEqual(before);
  });

  test("endless: it is cut off", async () => {
    const message = withHeaders(messageTo(berlin), {
      "content-length": undefined,
      "transfer-encoding": "chunked",
    });
    const sent = await streamForEver(berlin.server().port, { ...message, body: Buffer.alloc(0) });
    expect(sent).toBeLessThan(ENDLESS_BYTES_MAX);
    expect((await send(messageTo(berlin)))?.status).toBe(200);
  });

  test("of a site of which there are two, which takes turns", async () => {
    const other = { ...keys, origin: "1".repeat(16) };
    expect((await send(messageTo(berlin)))?.status).toBe(200);
    // A restored site speaks as a new incarnation, and its former one never again.
    expect((await send(messageTo(berlin, { keys: other })))?.status).toBe(200);
    expect(reasonOf(await send(messageTo(berlin)))).toBe("403 clone");
    expect(reasonOf(await send(messageTo(berlin, { keys: other })))).toBe("403 clone");
  });

  test("any of these, and says so once for each sender and reason", () => {
    const lines = berlin
      .server()
      .log()
      .split("\n")
      .filter((line) => line.includes("a message of a peer was refused"));
    const told = lines.map((line) => {
      const { from, reason } = JSON.parse(line) as { from: string; reason: string };
      return `${from} ${reason}`;
    });
    expect(new Set(told).size).toBe(told.length);
    expect(berlin.server().log()).not.toContain("a peer's request failed");
  });
});

/** Streams a body until the server ends the connection; how many bytes it let itself be sent. */
function streamForEver(port: number, message: PeerMessage): Promise<number> {
  const piece = Buffer.alloc(64 * 1024, "x");
  const chunk = Buffer.concat([
    Buffer.from(`${piece.length.toString(16)}\r\n`),
    piece,
    Buffer.from("\r\n"),
  ]);
  return new Promise((resolve) => {
    let sent = 0;
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(wireBytes(message));
      more();
    });
    const more = (): void => {
      while (!socket.destroyed && sent < ENDLESS_BYTES_MAX) {
        sent += piece.length;
        if (!socket.write(chunk)) return;
      }
      socket.destroy();
    };
    socket.on("drain", more);
    // An answer, a reset or an end: the site has had enough.
    socket.on("data", () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(sent));
  });
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
    relay = await openLyingRelay(keysOf(paris), () => paris.server().port);
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
