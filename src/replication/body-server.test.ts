import { beforeEach, expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { createInlineHash } from "../../test/sim/sim-hash.ts";
import { MemoryReplica } from "../../test/support/memory-replica.ts";
import { LIMITS } from "../core/limits.ts";
import { parseContentHash, parseOriginId, parseSiteId } from "../core/names.ts";
import type { SiteRecord } from "../core/site-record.ts";
import { required } from "../core/tagged-fields.ts";
import { answerChunk, answerManifests, type BodyServerDeps } from "./body-server.ts";
import { ChunkLeases } from "./chunk-leases.ts";
import { readManifests, writeManifestsRequest } from "./wire-bodies.ts";

const PEER: SiteRecord = {
  ...{ id: required(parseSiteId("b".repeat(16)), "site"), name: "paris", publicKey: "" },
  ...{ addresses: [], certificates: [], origins: [], state: "active", featureLevel: 1 },
  insecure: true,
};
const BODY = Buffer.from("some bytes that are large in name only");

let replica: MemoryReplica;
let leases: ChunkLeases;
let deps: BodyServerDeps;
let served: number;
let chunk: string;
let manifest: string;

beforeEach(async () => {
  const origin = required(parseOriginId("a".repeat(16)), "origin");
  replica = new MemoryReplica(origin, await createInlineHash());
  leases = new ChunkLeases({
    clock: new SimClock(),
    hold: (chunks) => replica.leaseChunks(chunks),
  });
  served = 0;
  deps = {
    ...{ replica, leases },
    served: (_peer, bytes) => {
      served += bytes;
    },
  };
  replica.writeLarge("large", [BODY]);
  [chunk = ""] = replica.chunks.keys();
  [manifest = ""] = replica.manifests.keys();
});

function chunkAt(query: Readonly<Record<string, string>>) {
  return answerChunk(deps, { peer: PEER, query: new Map(Object.entries(query)) });
}

test("a chunk is given from any offset on, and what is given is counted", async () => {
  const whole = await chunkAt({ hash: chunk, offset: "0", bytes: "1000" });
  expect(Buffer.from(whole.body).equals(BODY)).toBe(true);
  const piece = await chunkAt({ hash: chunk, offset: "5", bytes: "5" });
  expect(Buffer.from(piece.body).toString()).toBe("bytes");
  expect(served).toBe(BODY.length + 5);
});

test("what is not here is not found, and that is no mistake of the peer", async () => {
  const answer = await chunkAt({ hash: "0".repeat(64), offset: "0", bytes: "10" });
  expect([answer.status, answer.body.length]).toEqual([404, 0]);
});

test.each([
  ["no hash", { offset: "0", bytes: "1" }],
  ["a path for a hash", { hash: "../../cluster-key.json", offset: "0", bytes: "1" }],
  ["a path as long as a hash", { hash: `${"../".repeat(21)}a`, offset: "0", bytes: "1" }],
  ["a hash in capitals", { hash: "A".repeat(64), offset: "0", bytes: "1" }],
  ["a negative offset", { hash: "0".repeat(64), offset: "-1", bytes: "1" }],
  ["no bytes", { hash: "0".repeat(64), offset: "0", bytes: "0" }],
  ["more than a chunk", { hash: "0".repeat(64), offset: "1", bytes: `${LIMITS.chunkBytes}` }],
  ["a number that is none", { hash: "0".repeat(64), offset: "1e3", bytes: "1" }],
])("[S6] a question with %s is refused", async (_what, query) => {
  expect((await chunkAt(query)).status).toBe(400);
});

test("manifests are given with a lease on their chunks, which using it renews", async () => {
  const wanted = [manifest, "0".repeat(64)].map((text) => required(parseContentHash(text), "hash"));
  const answer = answerManifests(deps, { body: writeManifestsRequest(wanted) });
  const [here, missing] = readManifests(answer.body, 2);
  expect(here?.chunks).toEqual([{ hash: chunk, bytes: BODY.length }]);
  expect(missing).toBeUndefined();
  expect(replica.leased).toEqual([[chunk]]);
  await chunkAt({ hash: chunk, offset: "0", bytes: "1", manifest });
  expect([leases.count, replica.leased]).toEqual([1, [[chunk]]]);
  leases.close();
  expect(replica.leased).toEqual([]);
});

test("[S6] a body that is no list of hashes is refused, and nothing is leased", () => {
  expect(answerManifests(deps, { body: Buffer.from("[]") }).status).toBe(400);
  expect(replica.leased).toEqual([]);
});
