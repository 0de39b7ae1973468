import { expect, test } from "vitest";
import { createMemoryLog } from "../../test/sim/memory-log.ts";
import { Seed } from "../../test/sim/seed.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { createSimRandom } from "../../test/sim/sim-random.ts";
import { makeSiteKeyPair } from "../core/identity.ts";
import { parseClusterId, parseSiteId, type SiteId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import { required } from "../core/tagged-fields.ts";
import { RingShare } from "./ring-share.ts";

const CLUSTER = required(parseClusterId("c".repeat(32)), "cluster");

function siteOf(name: string, digit: string): MemberSite {
  const { publicKey } = makeSiteKeyPair(Buffer.alloc(32, Number(digit)));
  return {
    ...{ id: idOf(digit), name, publicKey, addresses: [], certificates: [], origins: [] },
    ...{ removedOrigins: [], state: "active", featureLevel: 1, insecure: false },
  };
}

function idOf(digit: string): SiteId {
  return required(parseSiteId(digit.repeat(16)), "site");
}

test("a peer that does not answer keeps nobody from the keys of another one", async () => {
  const clock = new SimClock();
  const [berlin, oslo] = [siteOf("berlin", "1"), siteOf("oslo", "2")];
  const underWay = new Map([[berlin.name, 0]]);
  const asked: string[] = [];
  const rings = new RingShare({
    ...{ clock, log: createMemoryLog(), random: createSimRandom(new Seed(1)) },
    identity: { clusterId: CLUSTER, siteId: idOf("3") },
    keyRing: { current: "1", merge: async () => false } as never,
    peers: () => [berlin, oslo],
    client: {
      request: async ({ name }, { signal }) => {
        asked.push(name);
        if (name === oslo.name) return { status: 503, headers: {}, body: Buffer.alloc(0) };
        underWay.set(name, (underWay.get(name) ?? 0) + 1);
        return new Promise((_resolve, reject) => {
          signal?.addEventListener("abort", () => reject(new Error("stopping")));
        });
      },
    },
  });
  rings.start();
  await clock.advance(1500);
  expect(asked).toEqual([berlin.name, oslo.name]);
  const news = required(rings.routes[1], "the route of news");
  const call = {
    peer: oslo,
    body: Buffer.alloc(0),
    query: new Map(),
    signal: new AbortController().signal,
  };
  await news.answer(call);
  await clock.advance(100);
  expect(asked).toEqual([berlin.name, oslo.name, oslo.name]);
  await clock.advance(3_600_000);
  expect(underWay).toEqual(new Map([[berlin.name, 1]]));
  await rings.stop();
});
