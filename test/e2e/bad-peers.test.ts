import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
import { type RawAnswer, sendBytes } from "../support/raw-http.ts";
import { ENGINES } from "../support/server.ts";
import {
  peerStates,
  type RunningSite,
  startCluster,
  until,
  untilInSync,
} from "../support/sites.ts";

const HOUR_MS = 3_600_000;
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

  test("[S60] replayed", async () => {
    const message = messageTo(berlin);
    expect((await send(message))?.status).toBe(200);
    for (let time = 0; time < TIMES; time++) {
      expect(reasonOf(await send(message))).toBe("401 replayed");
    }
    expect((await refusedOf(berlin))["replayed"]).toBe(TIMES);
  });

  test("[S60] of an earlier life of the site, which its peer signs anew", async () => {
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
