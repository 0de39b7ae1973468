import { hlcFromMs } from "../../src/core/hlc.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { parseOriginId, parseSeq, SEQ_ZERO, type SiteId } from "../../src/core/names.ts";
import type { LogStart } from "../../src/core/records.ts";
import type { SiteRecord } from "../../src/core/site-record.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { Bandwidth } from "../../src/replication/bandwidth.ts";
import type { FetchedBody } from "../../src/replication/body-fetch.ts";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import { BootstrapLeases } from "../../src/replication/bootstrap-leases.ts";
import { isKnownBetter } from "../../src/replication/own-fork.ts";
import type { AskPeer } from "../../src/replication/peer-calls.ts";
import { RowCalls } from "../../src/replication/row-calls.ts";
import {
  answerBootstrap,
  answerRanges,
  answerRowHashes,
  answerRows,
  type RowServerDeps,
} from "../../src/replication/row-server.ts";
import type { LogicalRows } from "../../src/storage/logical-rows.ts";
import { decodeRow, TABLES } from "../../src/storage/metadata/rows.ts";
import { indexKey } from "../../src/storage/metadata/stored-rows.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { createSimRandom } from "../sim/sim-random.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import type { SimSite } from "./sim-site.ts";

/** One site's rows as another one asks for them, without a network between. */
export type RowLink = {
  readonly calls: RowCalls;
  readonly ask: AskPeer;
  readonly leases: BootstrapLeases;
  /** What the site says of its logs; tests move it on as they carry operations. */
  heads: LogStart[];
  /** What the site answers to who begins to take over its rows. */
  start: LogicalRows["start"];
  /** Called before each request with its path; may throw, as a broken link does. */
  weather: (path: string) => void;
};

/** Where a site's own log stands. */
export function ownHead({ store, running }: SimSite): LogStart {
  const { origin } = running.site.identity;
  const head = store.logHead();
  const hlc = head?.hlc ?? (0n as LogStart["hlc"]);
  return { origin, seq: head?.seq ?? SEQ_ZERO, hlc, chain: Buffer.alloc(32), vector: new Map() };
}

/** Lets another site ask `server` for its rows. */
export function linkRows(server: SimSite, client: SimSite): RowLink {
  const { clock } = server;
  const leases = new BootstrapLeases(clock);
  const peer = { id: client.running.site.identity.siteId } as SiteRecord;
  const link: Pick<RowLink, "heads" | "start" | "weather"> = {
    heads: [ownHead(server)],
    start: async (begun) => {
      begun(link.heads);
      return { heads: link.heads, settled: server.store.rows.settled() };
    },
    weather: () => undefined,
  };
  const deps = (): RowServerDeps => ({
    ...{ rows: server.store.rows, hash: server.hash, clock, leases },
    random: createSimRandom(new Seed(`leases-${clock.nowMs()}`)),
    start: (begun) => link.start(begun),
    isSetBack: (known) => isKnownBetter(server.store.replica, known),
    applied: () => new Map(link.heads.map(({ origin, seq }) => [origin, seq])),
    served: () => undefined,
  });
  const routes = {
    "/v1/repl/bootstrap": answerBootstrap,
    "/v1/repl/rows": answerRows,
    "/v1/repl/ranges": answerRanges,
    "/v1/repl/row-hashes": answerRowHashes,
  } as const;
  const ask: AskPeer = async (_peer, { path, body }) => {
    link.weather(path);
    const answer = routes[path as keyof typeof routes];
    const reply = await answer(deps(), { peer, body: body ?? Buffer.of() });
    return { status: reply.status, body: Buffer.from(reply.body) };
  };
  const id: SiteId = server.running.site.identity.siteId;
  const bandwidth = new Bandwidth(clock, undefined);
  const calls = new RowCalls({ ask, bandwidth, known: () => [] }, { id } as SiteRecord);
  return Object.assign(link, { ask, calls, leases });
}

/** Carries the chunks of large bodies from one site to another. */
export function fetchFrom(from: SimSite, to: SimSite) {
  return async (refs: readonly { readonly hash: string }[]): Promise<FetchedBody> => {
    const manifests = [];
    for (const { hash } of refs) {
      if (to.kv.get(indexKey(TABLES.manifest.prefix, hash)) !== undefined) continue;
      const value = from.kv.get(indexKey(TABLES.manifest.prefix, hash));
      if (value === undefined) return { outcome: "gone" };
      const { chunks } = decodeRow(TABLES.manifest, value, from.hash.crc32);
      const writer = await to.store.stageBody();
      for (const chunk of chunks) await writer.write(await chunkOf(from, chunk.hash));
      manifests.push({ hash: hash as never, chunks, staged: await writer.finish() });
    }
    return { outcome: "whole", manifests };
  };
}

/** The bytes of a chunk as they lie on disk. */
export async function chunkOf(site: SimSite, hash: string): Promise<Buffer> {
  const value = site.kv.get(indexKey(TABLES.chunk.prefix, hash));
  if (value === undefined) throw new Error("a chunk is missing");
  const { place } = decodeRow(TABLES.chunk, value, site.hash.crc32);
  const name = `seg-${String(place.segment).padStart(10, "0")}.atoll`;
  const file = await site.machine.disk.openRead(`${site.directory}/segments/${name}`);
  const bytes = Buffer.alloc(place.bytes);
  await file.read(bytes, place.offset);
  await file.close();
  return bytes;
}

/** How rows are taken over: `merges`: into data that is whole; `rows` asks for them otherwise. */
type Taking = { readonly merges?: true; readonly rows?: (calls: RowCalls) => RowCalls["rows"] };

/** Takes over all rows of a site, as a new member does; logs go on behind them. */
export async function takeOver(
  from: SimSite,
  to: SimSite,
  { rows, ...merge }: Taking = {},
): Promise<void> {
  const link = linkRows(from, to);
  link.start = from.store.rows.start;
  const { calls } = link;
  const source = {
    site: from.running.site.identity.siteId,
    start: calls.start.bind(calls),
    rows: rows?.(calls) ?? calls.rows.bind(calls),
    ...merge,
  };
  const deps = { rows: to.store.rows, clock: to.clock, log: createMemoryLog() };
  const own = () => to.running.site.identity.origin;
  const run = new BootstrapRun({ ...deps, own, fetch: fetchFrom(from, to) }, source);
  await run.run(new AbortController().signal);
}

/** A site learns of more writes that will come overwritten than it can tell another one. */
export async function knowTooMuch({ store }: SimSite): Promise<void> {
  const origin = required(parseOriginId("00000000000000cc"), "origin");
  const name = { bucket: bucketOf("plain"), key: keyOf("a") };
  const settled = Array.from({ length: LIMITS.settledWritesMax + 1 }, (_, at) => {
    const seq = required(parseSeq(at + 1), "sequence");
    return { ...name, write: { hlc: hlcFromMs(at + 1), origin, seq } };
  });
  const nothing = { rows: [], removed: [], progress: undefined, rewrite: false };
  await store.rows.import({ ...nothing, settled });
}
