import { describe, expect, test } from "vitest";
import { Seed } from "../../test/sim/seed.ts";
import { createSimRandom } from "../../test/sim/sim-random.ts";
import { fc } from "../../test/support/properties.ts";
import type { ForwardedAnswer, ForwardedRequest } from "../core/forwarded-request.ts";
import { LIMITS } from "../core/limits.ts";
import { parseAccessKeyId, parseSiteId, type SiteId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import { forwardRoute, forwardTo } from "./forward.ts";
import type { PeerClient } from "./peer-client.ts";
import { PeerFault } from "./peer-fault.ts";
import type { PeerCall } from "./peer-server.ts";
import {
  parseForwardedAnswer,
  parseForwardedRequest,
  writeForwardedAnswer,
  writeForwardedRequest,
} from "./wire-forward.ts";
import type { Parsed } from "./wire-values.ts";

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the test's own data is wrong");
  return value;
}

const HOME = must(parseSiteId("1".repeat(16)));
const REQUEST: ForwardedRequest = {
  ...{ method: "PUT", target: "/photos/a%20cat?x-id=PutObject", secure: true },
  headers: [
    ["if-none-match", "*"],
    ["x-amz-meta-name", "Grüße"],
  ],
  remoteAddress: "192.0.2.7",
  principal: { kind: "user", accessKey: must(parseAccessKeyId("ALICE")) },
  body: Buffer.from("the body"),
};
const ANSWER: ForwardedAnswer = {
  ...{ status: 412, headers: [["content-type", "application/xml"]] },
  body: Buffer.from("<Error/>"),
};

function readAs<Value>(read: Parsed<Value>): Value {
  if (read.outcome === "bad") throw new Error(read.problem);
  return read.value;
}

/** The bytes as if a peer had written another head. */
function withHead(change: Record<string, unknown>): Buffer {
  const { body, ...head } = REQUEST;
  return writeForwardedRequest({ ...head, ...change, body } as ForwardedRequest);
}

describe("on the wire", () => {
  test("requests and answers come back as they were", () => {
    const principals = [{ kind: "root" }, { kind: "anonymous" }, REQUEST.principal] as const;
    for (const principal of principals) {
      const request = { ...REQUEST, principal };
      const back = readAs(parseForwardedRequest(writeForwardedRequest(request)));
      expect({ ...back, body: Buffer.from(back.body) }).toEqual(request);
    }
    const answer = readAs(parseForwardedAnswer(writeForwardedAnswer(ANSWER)));
    expect({ ...answer, body: Buffer.from(answer.body) }).toEqual(ANSWER);
  });

  test.each([
    ["a read", { method: "GET" }],
    ["no path", { target: "photos" }],
    ["a header in a header", { headers: [["a", "b\r\nc: d"]] }],
    ["a header without a name", { headers: [["", "b"]] }],
    ["too many headers", { headers: Array.from({ length: 201 }, () => ["a", "b"]) }],
    ["nobody", { principal: undefined }],
    ["a strange key", { principal: { kind: "user", accessKey: "a b" } }],
    ["more than there is", { more: 1 }],
  ])("a request with %s is none", (_name, change) => {
    expect(parseForwardedRequest(withHead(change)).outcome).toBe("bad");
  });

  test("whatever else comes is none either", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(parseForwardedRequest(bytes).outcome).toBe("bad");
        expect(parseForwardedAnswer(bytes).outcome).toBe("bad");
      }),
    );
  });
});

function ask(route: ReturnType<typeof forwardRoute>, body: Uint8Array, name?: string) {
  const query = new Map(name === undefined ? [] : [["name", name]]);
  return route.answer({ body, peer: { id: HOME }, query } as unknown as PeerCall);
}

/** A client whose peer is a route in this process. */
function clientOf(route: ReturnType<typeof forwardRoute>, times = 1): PeerClient {
  return {
    request: async (_peer, { body = Buffer.of(), path }) => {
      const [, name] = path.split("?name=");
      expect(name).toMatch(/^[0-9a-f]{32}$/);
      let answer = await ask(route, body, name);
      for (let at = 1; at < times; at++) answer = await ask(route, body, name);
      return { status: answer.status, headers: {}, body: Buffer.from(answer.body) };
    },
  };
}

const rests: number[] = [];
const clock = { sleep: async (ms: number) => void rests.push(ms) };
const random = createSimRandom(new Seed("names of requests"));
const peers = () => [{ id: HOME, name: "paris" }] as unknown as MemberSite[];

describe("a request that is brought to the home", () => {
  test("is answered with what the home said, whatever that is", async () => {
    const asked: ForwardedRequest[] = [];
    const route = forwardRoute(async (request) => {
      asked.push(request);
      return ANSWER;
    });
    const answer = await forwardTo(
      { client: clientOf(route), clock, random, peers },
      HOME,
      REQUEST,
    );
    expect([answer.status, String(answer.body)]).toEqual([412, "<Error/>"]);
    expect(asked.map(({ target, principal }) => [target, principal])).toEqual([
      [REQUEST.target, REQUEST.principal],
    ]);
  });

  test("is refused when it is none, when the peer is gone, or answers nonsense", async () => {
    const route = forwardRoute(async () => ANSWER);
    expect((await ask(route, Buffer.from("nonsense"))).status).toBe(400);
    const stranger: SiteId = must(parseSiteId("2".repeat(16)));
    const here = { client: clientOf(route), clock, random, peers };
    await expect(forwardTo(here, stranger, REQUEST)).rejects.toMatchObject({ kind: "unreachable" });
    const silly: PeerClient = {
      request: async () => ({ status: 200, headers: {}, body: Buffer.from("yes") }),
    };
    const there = forwardTo({ client: silly, clock, random, peers }, HOME, REQUEST);
    await expect(there).rejects.toMatchObject({ kind: "untrusted" });
  });

  test("is done once when it comes twice, as from a peer that tries another address", async () => {
    let times = 0;
    const route = forwardRoute(async () => {
      times += 1;
      return { ...ANSWER, status: times === 1 ? 200 : 412 };
    });
    const link = { client: clientOf(route, 3), clock, random, peers };
    expect((await forwardTo(link, HOME, REQUEST)).status).toBe(200);
    expect(times).toBe(1);
    expect((await forwardTo(link, HOME, REQUEST)).status).toBe(412);
  });

  test("is asked again, under its name, when the link breaks for a moment and not for longer", async () => {
    const route = forwardRoute(async () => ANSWER);
    const whole = clientOf(route);
    const names = new Set<string>();
    for (const [breaks, tries] of [
      [2, 3],
      [9, 3],
    ] as const) {
      let asked = 0;
      const client: PeerClient = {
        request: async (...wish) => {
          names.add(wish[1].path);
          asked += 1;
          if (asked <= breaks) throw new PeerFault("unreachable", "it broke");
          return whole.request(...wish);
        },
      };
      rests.length = 0;
      const sent = forwardTo({ client, clock, random, peers }, HOME, REQUEST);
      if (breaks < tries) expect((await sent).status).toBe(412);
      else await expect(sent).rejects.toMatchObject({ kind: "unreachable" });
      expect([asked, rests]).toEqual([tries, [100, 400]]);
    }
    expect(names.size).toBe(2);
  });

  test("waits at its own site when too many are under way", async () => {
    const finish: Array<() => void> = [];
    const route = forwardRoute(() => new Promise((resolve) => finish.push(() => resolve(ANSWER))));
    const bytes = writeForwardedRequest(REQUEST);
    const first = Array.from({ length: LIMITS.forwardsMax }, () => ask(route, bytes));
    const there = forwardTo({ client: clientOf(route), clock, random, peers }, HOME, REQUEST);
    await expect(there).rejects.toMatchObject({ kind: "refused" });
    for (const end of finish) end();
    expect((await Promise.all(first)).every(({ status }) => status === 200)).toBe(true);
    const later = ask(route, bytes);
    finish.at(-1)?.();
    expect((await later).status).toBe(200);
  });
});
