import { parseSiteId } from "../../src/core/names.ts";
import type { MemberSite } from "../../src/core/site-record.ts";
import { required } from "../../src/core/tagged-fields.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { AskPeer } from "../../src/replication/peer-calls.ts";
import {
  type RowsEngine,
  RowsService,
  type RowsServiceDeps,
} from "../../src/replication/rows-service.ts";
import { parseRowsRequest, writeRowsRequest } from "../../src/replication/wire-rows.ts";
import type { StoredObject } from "../../src/storage/store.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { createSimRandom } from "../sim/sim-random.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { fetchFrom, linkRows, type RowLink } from "./row-link.ts";
import type { SimSite } from "./sim-site.ts";

export type Service = {
  readonly service: RowsService;
  readonly log: ReturnType<typeof createMemoryLog>;
  readonly peer: MemberSite;
  readonly link: RowLink;
};

export function serviceFor(
  from: SimSite,
  to: SimSite,
  engine: Partial<RowsEngine> = {},
  changes: Partial<
    Pick<RowsServiceDeps, "ask" | "clock" | "setBacks" | "own" | "peers" | "receivedBy">
  > = {},
): Service {
  const log = createMemoryLog();
  const link = linkRows(from, to);
  const ask = inSmallPages(link.ask);
  const fetchBodies = fetchFrom(from, to);
  const peer = memberOf(from);
  const { identity } = to.running.site;
  const service = new RowsService({
    ...{ rows: to.store.rows, replica: to.store.replica, ask, log, clock: to.clock },
    ...{ hash: to.hash, random: createSimRandom(new Seed(identity.siteId)), peers: () => [peer] },
    ...{ disk: to.machine.disk, bytesPerSecond: undefined, marksKeptMs: 0, site: identity.siteId },
    own: () => identity.origin,
    receivedBy: () => undefined,
    cluster: () => identity.clusterId,
    engine: () => ({
      fetch: ({ manifests }) => fetchBodies(manifests),
      callsOf: () => [],
      passedOver: { asked: () => undefined },
      ...engine,
    }),
    ...changes,
  });
  return { service, log, peer, link };
}

/** There is little in a site of a test: so that it does not all come at once. */
export function inSmallPages(ask: AskPeer): AskPeer {
  return (peer, request) => {
    const parsed = parseRowsRequest(request.body ?? Buffer.of());
    if (request.path !== "/v1/repl/rows" || parsed.outcome === "bad") return ask(peer, request);
    return ask(peer, { ...request, body: writeRowsRequest({ ...parsed.value, bytesMax: 600 }) });
  };
}

export function memberOf(site: SimSite): MemberSite {
  const { siteId: id, origin } = site.running.site.identity;
  return { id, name: "berlin", origins: [origin] } as unknown as MemberSite;
}

/** Another member, of which nothing is known but that it is one. */
export const WAITING = {
  id: required(parseSiteId("00000000000000aa"), "site"),
  ...{ name: "waiting", origins: [] },
} as unknown as MemberSite;

/** A clock of which a sleep takes the longer the longer it is. */
export function slowly(site: SimSite): Clock {
  const sleep = async (ms: number): Promise<void> => {
    for (let turn = 0; turn < ms / 10; turn++) await settle();
  };
  return { ...site.clock, sleep };
}

/** Lets everything go on that waits for nothing but its turn. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A body in chunks, in a segment that nothing holds in memory. */
export async function putLarge(site: SimSite, bytes: Buffer): Promise<StoredObject> {
  const [bucket, key] = [bucketOf("photos"), keyOf("cat.jpg")];
  await site.store.createBucket({ name: bucket, owner: "o" });
  const writer = await site.store.stageBody();
  await writer.write(bytes);
  const staged = await writer.finish();
  const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
  const rest = { attributes, checksums: [], parts: [], encryption: undefined };
  const object = { size: bytes.length, etag: "0".repeat(32), ...rest };
  await site.store.putObject({ bucket, key, object, body: { kind: "staged", staged } });
  await site.restart();
  await site.store.keepHouse();
  return required(site.store.object(bucket, key), "object");
}

export async function untilIdle(service: RowsService): Promise<void> {
  while (service.isTakingOver) await settle();
}
