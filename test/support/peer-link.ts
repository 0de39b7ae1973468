import { expect } from "vitest";
import { makeSiteKeyPair, type SiteKeyPair } from "../../src/core/identity.ts";
import {
  type ClusterId,
  type OriginId,
  parseClusterId,
  parseOriginId,
  parseSiteId,
} from "../../src/core/names.ts";
import type { MemberSite } from "../../src/core/site-record.ts";
import { required } from "../../src/core/tagged-fields.ts";
import type { Network, NetworkRequest, NetworkResponse } from "../../src/ports/network.ts";
import {
  createPeerClient,
  type PeerClient,
  type PeerRequest,
} from "../../src/replication/peer-client.ts";
import { PeerFault } from "../../src/replication/peer-fault.ts";
import { type PeerAnswer, type PeerCall, PeerServer } from "../../src/replication/peer-server.ts";
import { Refusals } from "../../src/replication/refusals.ts";
import { createMemoryLog, type MemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { createSimRandom } from "../sim/sim-random.ts";
import { ask, type FakeRequest } from "./fake-exchange.ts";

export const CLUSTER: ClusterId = required(parseClusterId("ab".repeat(16)), "cluster");
export const ORIGINS = ["1", "2"].map((digit) => {
  return required(parseOriginId(digit.repeat(16)), "origin");
}) as [OriginId, OriginId];
export const ADDRESS = "http://paris:9000";
export const ECHO: PeerRequest = {
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

export const BERLIN_KEYS = makeSiteKeyPair(Buffer.alloc(32, 1));
export const PARIS_KEYS = makeSiteKeyPair(Buffer.alloc(32, 2));
export const BERLIN = siteOf("a", BERLIN_KEYS);
export const PARIS = siteOf("b", PARIS_KEYS);

/** What a message looks like on its way, for a test to keep or change. */
type Line = {
  request: (message: FakeRequest) => FakeRequest;
  answer: (message: NetworkResponse) => NetworkResponse;
  readonly seen: FakeRequest[];
};

/** What a test may look at and change; made anew before each. */
export const link = {} as {
  members: Map<string, MemberSite>;
  clock: SimClock;
  log: MemoryLog;
  refusals: Refusals;
  server: PeerServer;
  calls: PeerCall[];
  reply: () => PeerAnswer | Promise<PeerAnswer>;
  line: Line;
};

export function startServer(seed: number): PeerServer {
  link.refusals = new Refusals(link.log);
  return new PeerServer({
    identity: { clusterId: CLUSTER, siteId: PARIS.id, keyPair: PARIS_KEYS },
    site: (id) => link.members.get(id),
    isInvited: () => false,
    clock: link.clock,
    log: link.log,
    refusals: link.refusals,
    ...{ random: createSimRandom(new Seed(seed)), invitedRoutes: [] },
    routes: [
      {
        ...{ method: "POST", path: "/v1/repl/echo", bodyBytesMax: 100 },
        answer: (call) => {
          link.calls.push({ ...call, body: Buffer.from(call.body) });
          return link.reply();
        },
      },
    ],
  });
}

export async function carry(request: NetworkRequest): Promise<NetworkResponse> {
  const { method, path, headers, body, target, signal } = request;
  if (target.kind !== "url" || target.origin !== ADDRESS) throw new Error("ECONNREFUSED");
  const bytes = body instanceof Uint8Array ? body : new Uint8Array(0);
  const message = link.line.request({ method, target: path, headers, body: bytes });
  link.line.seen.push(message);
  const gone = new Promise<never>((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(new Error("aborted")));
  });
  const answer = await Promise.race([deliver(message), gone]);
  return link.line.answer({ ...answer, body: piecesOf(answer.body) });
}

export function deliver(message: FakeRequest) {
  return ask((exchange) => link.server.handle(exchange), message);
}

export async function* piecesOf(...pieces: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* pieces;
}

export function clientOf(
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
    clock: link.clock,
    random: createSimRandom(new Seed(`client ${origin}`)),
    identity,
    keyPair,
  });
}

export function failureOf(asked: Promise<unknown>): Promise<PeerFault> {
  return asked.then(
    () => expect.fail("it was answered"),
    (failure: unknown) => (failure instanceof PeerFault ? failure : expect.fail(String(failure))),
  );
}

export function reasons(): string[] {
  return [...link.refusals.counts()].map(([reason, count]) => `${reason} ${count}`);
}

/** Makes the link anew: berlin asks, paris answers. */
export function resetLink(): void {
  link.members = new Map([BERLIN, PARIS].map((site) => [site.id, site]));
  link.clock = new SimClock();
  link.log = createMemoryLog();
  link.calls = [];
  link.reply = () => ({ status: 200, body: Buffer.from("hi"), headers: [["x-extra", "1"]] });
  link.line = { request: (message) => message, answer: (message) => message, seen: [] };
  link.server = startServer(1);
}
