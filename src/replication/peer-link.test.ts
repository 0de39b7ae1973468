import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryLog, type MemoryLog } from "../../test/sim/memory-log.ts";
import { Seed } from "../../test/sim/seed.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { createSimRandom } from "../../test/sim/sim-random.ts";
import { ask, type FakeRequest } from "../../test/support/fake-exchange.ts";
import { makeSiteKeyPair, type SiteKeyPair } from "../core/identity.ts";
import { LIMITS } from "../core/limits.ts";
import {
  type ClusterId,
  type OriginId,
  parseClusterId,
  parseOriginId,
  parseSiteId,
} from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import { required } from "../core/tagged-fields.ts";
import type { Network, NetworkRequest, NetworkResponse } from "../ports/network.ts";
import { createPeerClient, type PeerClient, type PeerRequest } from "./peer-client.ts";
import { PeerFault } from "./peer-fault.ts";
import { type PeerAnswer, type PeerCall, PeerServer } from "./peer-server.ts";
import { Refusals } from "./refusals.ts";

const CLUSTER: ClusterId = required(parseClusterId("ab".repeat(16)), "cluster");
const ORIGINS = ["1", "2"].map((digit) => {
  return required(parseOriginId(digit.repeat(16)), "origin");
}) as [OriginId, OriginId];
const ADDRESS = "http://paris:9000";
const ECHO: PeerRequest = {
  ...{ method: "POST", path: "/v1/repl/echo?n=1&name=k%C3%A4se", body: Buffer.from("hello") },
  ...{ bytesMax: 1000, timeoutMs: 1000 },
};

function siteOf(digit: string, keyPair: SiteKeyPair): MemberSite {
  return {
    id: required(parseSiteId(digit.repeat(16)), "site"),
    name: digit === "a" ? "berlin" : "paris",
    publicKey: keyPair.publicKey,
    addresses: [ADDRESS],
    certificates: [],
    origins: [required(parseOriginId(digit.repeat(16)), "origin")],
    removedOrigins: [],
    ...{ state: "active", featureLevel: 1, insecure: true },
  };
}

const BERLIN_KEYS = makeSiteKeyPair(Buffer.alloc(32, 1));
const PARIS_KEYS = makeSiteKeyPair(Buffer.alloc(32, 2));
const BERLIN = siteOf("a", BERLIN_KEYS);
const PARIS = siteOf("b", PARIS_KEYS);

/** What a message looks like on its way, for a test to keep or change. */
type Line = {
  request: (message: FakeRequest) => FakeRequest;
  answer: (message: NetworkResponse) => NetworkResponse;
  readonly seen: FakeRequest[];
};

let members: Map<string, MemberSite>;
let clock: SimClock;
let log: MemoryLog;
let refusals: Refusals;
let server: PeerServer;
let calls: PeerCall[];
let reply: () => PeerAnswer | Promise<PeerAnswer>;
let line: Line;

function startServer(seed: number): PeerServer {
  refusals = new Refusals(log);
  return new PeerServer({
    identity: { clusterId: CLUSTER, siteId: PARIS.id, keyPair: PARIS_KEYS },
    site: (id) => members.get(id),
    isInvited: () => false,
    ...{ clock, random: createSimRandom(new Seed(seed)), log, refusals, invitedRoutes: [] },
    routes: [
      {
        ...{ method: "POST", path: "/v1/repl/echo", bodyBytesMax: 100 },
        answer: (call) => {
          calls.push({ ...call, body: Buffer.from(call.body) });
          return reply();
        },
      },
    ],
  });
}

async function carry(request: NetworkRequest): Promise<NetworkResponse> {
  const { method, path, headers, body, target, signal } = request;
  if (target.kind !== "url" || target.origin !== ADDRESS) throw new Error("ECONNREFUSED");
  const bytes = body instanceof Uint8Array ? body : new Uint8Array(0);
  const message = line.request({ method, target: path, headers, body: bytes });
  line.seen.push(message);
  const gone = new Promise<never>((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(new Error("aborted")));
  });
  const answer = await Promise.race([deliver(message), gone]);
  return line.answer({ ...answer, body: piecesOf(answer.body) });
}

function deliver(message: FakeRequest) {
  return ask((exchange) => server.handle(exchange), message);
}

async function* piecesOf(...pieces: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* pieces;
}

function clientOf(
  who: { clusterId: ClusterId; siteId: MemberSite["id"] } = {
    ...{ clusterId: CLUSTER, siteId: BERLIN.id },
  },
  keyPair: SiteKeyPair = BERLIN_KEYS,
  origin = ORIGINS[0],
): PeerClient {
  const identity = { ...who, origin };
  const network: Network = { request: carry };
  return createPeerClient({
    network,
    clock,
    random: createSimRandom(new Seed(`client ${origin}`)),
    identity,
    keyPair,
  });
}

function failureOf(asked: Promise<unknown>): Promise<PeerFault> {
  return asked.then(
    () => expect.fail("it was answered"),
    (failure: unknown) => (failure instanceof PeerFault ? failure : expect.fail(String(failure))),
  );
}

function reasons(): string[] {
  return [...refusals.counts()].map(([reason, count]) => `${reason} ${count}`);
}

beforeEach(() => {
  members = new Map([BERLIN, PARIS].map((site) => [site.id, site]));
  clock = new SimClock();
  log = createMemoryLog();
  calls = [];
  reply = () => ({ status: 200, body: Buffer.from("hi"), headers: [["x-extra", "1"]] });
  line = { request: (message) => message, answer: (message) => message, seen: [] };
  server = startServer(1);
});

describe("a site that asks another", () => {
  test("is known by its signature, and believes the answer by the other's", async () => {
    const answer = await clientOf().request(PARIS, ECHO);
    expect(answer).toMatchObject({ status: 200, headers: { "x-extra": "1" } });
    expect(String(answer.body)).toBe("hi");
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({
      peer: BERLIN,
      query: new Map([
        ["n", "1"],
        ["name", "käse"],
      ]),
    });
    expect(String(calls[0]?.body)).toBe("hello");
    expect(reasons()).toEqual([]);
  });

  test("goes on by itself after the other was started anew", async () => {
    const client = clientOf();
    await client.request(PARIS, ECHO);
    server = startServer(2);
    await client.request(PARIS, ECHO);
    expect(calls).toHaveLength(2);
    expect(reasons()).toEqual([]);
  });

  test("tries the other addresses of a site, and begins with the one that answered", async () => {
    const twice = { ...PARIS, addresses: ["http://gone:1", ADDRESS] };
    const client = clientOf();
    await client.request(twice, ECHO);
    await client.request(twice, ECHO);
    expect(calls).toHaveLength(2);
  });

  test("does not speak plain http where nobody wanted it", async () => {
    const failure = await failureOf(clientOf().request({ ...PARIS, insecure: false }, ECHO));
    expect(failure).toMatchObject({ kind: "unreachable" });
    expect(line.seen).toHaveLength(0);
  });

  test.each([
    ["an answer whose body is altered", { body: piecesOf(Buffer.from("ho")) }, "untrusted"],
    ["an answer whose status is altered", { status: 404 }, "untrusted"],
    ["an answer that is not signed", { headers: {} }, "untrusted"],
    ["an answer that ends early", { body: piecesOf(Buffer.from("h")) }, "untrusted"],
  ] as const)("does not believe %s", async (_name, change, kind) => {
    const client = clientOf();
    await client.request(PARIS, ECHO);
    line.answer = (message) => ({ ...message, ...change });
    expect(await failureOf(client.request(PARIS, ECHO))).toMatchObject({ kind });
  });

  test("does not believe an earlier answer to another question", async () => {
    const client = clientOf();
    let first: NetworkResponse | undefined;
    line.answer = (message) => {
      if (message.status === 200) first = message;
      return message;
    };
    await client.request(PARIS, ECHO);
    line.answer = () => ({ ...required(first, "answer"), body: piecesOf(Buffer.from("hi")) });
    expect(await failureOf(client.request(PARIS, ECHO))).toMatchObject({ kind: "untrusted" });
  });

  test("does not believe another site that answers in its place", async () => {
    const other = { ...PARIS, publicKey: makeSiteKeyPair(Buffer.alloc(32, 9)).publicKey };
    expect(await failureOf(clientOf().request(other, ECHO))).toMatchObject({ kind: "untrusted" });
  });

  test("cuts off a peer that streams for ever", async () => {
    let sent = 0;
    async function* forEver(): AsyncIterable<Uint8Array> {
      for (;;) {
        sent += 400;
        yield Buffer.alloc(400);
      }
    }
    line.answer = (message) => ({ ...message, body: forEver() });
    expect(await failureOf(clientOf().request(PARIS, ECHO))).toMatchObject({ kind: "too-large" });
    expect(sent).toBeLessThan(2000);
  });

  test("waits for no answer beyond its time, and no longer than it is wanted", async () => {
    reply = () => new Promise(() => undefined);
    const late = failureOf(clientOf().request(PARIS, ECHO));
    await clock.advance(1001);
    expect(await late).toMatchObject({ kind: "timeout" });
    const stop = new AbortController();
    const stopped = failureOf(clientOf().request(PARIS, { ...ECHO, signal: stop.signal }));
    stop.abort();
    expect(await stopped).toMatchObject({ kind: "unreachable" });
    expect(clock.pendingTimers).toBe(0);
  });
});

test("two programs that speak as one site are both refused, and each is told why", async () => {
  const [original, copy] = ORIGINS.map((origin) => clientOf(undefined, undefined, origin));
  await original?.request(PARIS, ECHO);
  await copy?.request(PARIS, ECHO);
  for (const client of [original, copy]) {
    const failure = await failureOf(required(client, "client").request(PARIS, ECHO));
    expect(failure).toMatchObject({ kind: "refused" });
    expect(failure.hint).toContain("copy");
  }
  expect(calls).toHaveLength(2);
  expect(reasons()).toEqual(["clone 2"]);
});

describe("a site refuses, counts, logs once, and hands on nothing", () => {
  async function refusedTwice(client: PeerClient, reason: string): Promise<void> {
    for (let time = 0; time < 2; time++) {
      const failure = await failureOf(client.request(PARIS, ECHO));
      expect(["refused", "untrusted"]).toContain(failure.kind);
    }
    expect(calls).toHaveLength(0);
    expect(reasons()).toEqual([`${reason} 2`]);
    expect(log.lines.filter(({ fields }) => fields["reason"] === reason)).toHaveLength(1);
  }

  test("a message of a site that it does not know", async () => {
    members.delete(BERLIN.id);
    await refusedTwice(clientOf(), "unknown-site");
  });

  test("a message of a site that was removed", async () => {
    members.set(BERLIN.id, { ...BERLIN, state: "removed" });
    await refusedTwice(clientOf(), "removed-site");
  });

  test("a message of another cluster", async () => {
    const clusterId = required(parseClusterId("cd".repeat(16)), "cluster");
    await refusedTwice(clientOf({ clusterId, siteId: BERLIN.id }), "wrong-cluster");
  });

  test("a message that is meant for another site", async () => {
    line.request = (message) => ({
      ...message,
      headers: { ...message.headers, "x-atoll-to": BERLIN.id },
    });
    await refusedTwice(clientOf(), "wrong-site");
  });

  test("a message under another key", async () => {
    await refusedTwice(clientOf(undefined, makeSiteKeyPair(Buffer.alloc(32, 9))), "altered");
  });

  test("a message of its own, sent back to it", async () => {
    await refusedTwice(
      clientOf({ clusterId: CLUSTER, siteId: PARIS.id }, PARIS_KEYS),
      "unknown-site",
    );
  });

  const changes: ReadonlyArray<readonly [string, (message: FakeRequest) => FakeRequest]> = [
    ["method", (message) => ({ ...message, method: "PUT" })],
    ["path", (message) => ({ ...message, target: "/v1/repl/Echo?n=1&name=k%C3%A4se" })],
    ["query", (message) => ({ ...message, target: "/v1/repl/echo?n=2&name=k%C3%A4se" })],
    ["body", (message) => ({ ...message, body: Buffer.from("hallo") })],
    ["end, cut off", (message) => ({ ...message, body: message.body.subarray(1) })],
    ...["host", "date", "content-digest", "x-atoll-session", "x-atoll-origin"].map(
      (name) => [`header ${name}`, (message: FakeRequest) => withHeader(message, name)] as const,
    ),
  ];
  function withHeader(message: FakeRequest, name: string): FakeRequest {
    const value = name === "date" ? new Date(clock.nowMs() + 5000).toUTCString() : "other";
    return { ...message, headers: { ...message.headers, [name]: value } };
  }

  test.each(changes)("a message whose %s is altered on the way", async (_name, change) => {
    const client = clientOf();
    await client.request(PARIS, ECHO);
    calls.length = 0;
    line.request = change;
    await refusedTwice(client, "altered");
  });

  test("a message without a signature, or with more or less in it", async () => {
    const inputs = [
      (input: string) => input.replace(' "@query"', ""),
      (input: string) => input.replace("sig=(", 'sig=("@scheme" '),
      (input: string) => `${input};expires=1`,
      (input: string) => input.replace("ed25519", "hmac-sha256"),
      () => "",
    ];
    for (const change of inputs) {
      line.request = (message) => ({
        ...message,
        headers: {
          ...message.headers,
          "signature-input": change(message.headers["signature-input"] ?? ""),
        },
      });
      expect(await failureOf(clientOf().request(PARIS, ECHO))).toMatchObject({ kind: "refused" });
    }
    expect(calls).toHaveLength(0);
    expect(reasons()).toEqual([`unsigned ${inputs.length}`]);
  });

  test("a message that came before, also after it was started anew", async () => {
    await clientOf().request(PARIS, ECHO);
    const message = required(line.seen.at(-1), "message");
    calls.length = 0;
    expect((await deliver(message)).status).toBe(401);
    expect(reasons()).toEqual(["replayed 1"]);
    server = startServer(2);
    expect((await deliver(message)).status).toBe(401);
    expect(calls).toHaveLength(0);
  });

  test.each([
    ["from the past", -LIMITS.requestSkewMsMax - 2000],
    ["from the future", LIMITS.requestSkewMsMax + 2000],
    ["from the year 2200", 174 * 365.25 * 24 * 3600 * 1000],
  ])("a message %s", async (_name, aheadMs) => {
    const client = clientOf();
    await client.request(PARIS, ECHO);
    calls.length = 0;
    line.request = (message) => message;
    const here = clock.nowMs();
    const theirs = new SimClock(here + aheadMs);
    const network: Network = { request: carry };
    const other = createPeerClient({
      ...{ network, clock: theirs, random: createSimRandom(new Seed(8)), keyPair: BERLIN_KEYS },
      identity: { clusterId: CLUSTER, siteId: BERLIN.id, origin: ORIGINS[0] },
    });
    const failure = await failureOf(other.request(PARIS, ECHO));
    expect(failure.message).toContain("clock");
    expect(calls).toHaveLength(0);
    expect(reasons()).toEqual(["clock 1"]);
  });

  test("a body beyond the route's bound, before anything of it is read", async () => {
    const large = { ...ECHO, body: Buffer.alloc(101) };
    const answer = await clientOf().request(PARIS, large);
    expect(answer.status).toBe(413);
    expect(calls).toHaveLength(0);
    expect(reasons()).toEqual(["too-large 1"]);
  });

  test("an address where nothing is, and a route that fails, each with its own answer", async () => {
    const client = clientOf();
    expect(
      (await client.request(PARIS, { ...ECHO, path: "/v1/repl/no", body: Buffer.alloc(0) })).status,
    ).toBe(404);
    reply = () => {
      throw new Error("secret details");
    };
    const failed = await client.request(PARIS, ECHO);
    expect(failed.status).toBe(500);
    expect(String(failed.body)).not.toContain("secret");
  });

  test("strangers in a crowd, without filling its memory", async () => {
    for (let at = 0; at < 3000; at++) refusals.note(`10.0.${at >> 8}.${at & 255}`, "unsigned", "x");
    expect(reasons()).toEqual(["unsigned 3000"]);
    expect(log.lines.length).toBeGreaterThan(1000);
  });
});
