import { makeSiteKeyPair } from "../../src/core/identity.ts";
import { type OriginId, parseClusterId, parseOriginId, parseSiteId } from "../../src/core/names.ts";
import type { MemberSite } from "../../src/core/site-record.ts";
import { required } from "../../src/core/tagged-fields.ts";
import type { HeldLogs } from "../../src/replication/held-logs.ts";
import type { LogOwner } from "../../src/replication/page-server.ts";
import type { AskPeer } from "../../src/replication/peer-calls.ts";
import { PeerWatch } from "../../src/replication/peer-watch.ts";
import { Quarantine } from "../../src/replication/quarantine.ts";
import { Replication } from "../../src/replication/replication.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { createInlineHash } from "../sim/sim-hash.ts";
import { createSimRandom } from "../sim/sim-random.ts";
import { MemoryReplica, putOf } from "./memory-replica.ts";

export type TwinAnswer = { status: number; body: Buffer };
export type TwinRequest = Parameters<AskPeer>[1];
/** A test may answer in a peer's place, or change what it said. */
export type Meddler = (
  to: string,
  request: TwinRequest,
  deliver: () => Promise<TwinAnswer>,
) => Promise<TwinAnswer>;

export type TwinSite = {
  readonly member: MemberSite;
  readonly owner: LogOwner;
  readonly replica: MemoryReplica;
  readonly replication: Replication;
  readonly watch: PeerWatch;
  readonly log: ReturnType<typeof createMemoryLog>;
  readonly floors: Array<readonly [string, readonly OriginId[]]>;
  /** Who showed that this site was set back, and behind what. */
  readonly setBacks: Array<readonly [string, number]>;
  /** What this site asked of others, in order. */
  readonly asked: Array<{ readonly to: string; readonly path: string; readonly bytes: number }>;
};

const CLUSTER = required(parseClusterId("c".repeat(32)), "cluster");

/** Sites whose logs are in memory and whose messages are calls, all in one virtual time. */
export async function openTwins(names: readonly string[], bytesPerSecond?: number) {
  const clock = new SimClock();
  const hash = await createInlineHash();
  const random = createSimRandom(new Seed(7));
  const members: MemberSite[] = [];
  const sites = new Map<string, TwinSite>();
  const cut = new Set<string>();
  const world = {
    meddle: undefined as Meddler | undefined,
    /** The site that takes over all rows of another one. */
    takingOver: undefined as string | undefined,
    /** The logs that wait there meanwhile. */
    held: "all" as HeldLogs,
  };
  for (const [at, name] of names.entries()) {
    const keyPair = makeSiteKeyPair(Buffer.alloc(32, at + 1));
    const id = required(parseSiteId(`${at + 1}`.repeat(16)), "site");
    const origin = required(parseOriginId(`${at + 1}a`.repeat(8)), "origin");
    const member: MemberSite = {
      ...{ id, name, publicKey: keyPair.publicKey, addresses: [`http://${name}`] },
      ...{ certificates: [], origins: [origin], removedOrigins: [], state: "active" as const },
      ...{ featureLevel: 1, insecure: true },
    };
    members.push(member);
    const owner: LogOwner = { clusterId: CLUSTER, siteId: id, origin, keyPair, withdrawn: [] };
    const replica = new MemoryReplica(origin, hash);
    replica.nowMs = () => clock.nowMs();
    const log = createMemoryLog();
    const watch = new PeerWatch({ clock, log });
    const floors: TwinSite["floors"] = [];
    const asked: TwinSite["asked"] = [];
    const setBacks: TwinSite["setBacks"] = [];
    const ask: AskPeer = async (peer, request) => {
      const to = peer.name;
      asked.push({ to, path: request.path, bytes: request.body?.length ?? 0 });
      const deliver = () => answerOf(name, to, request);
      const answer = world.meddle === undefined ? deliver() : world.meddle(to, request, deliver);
      return untilAbort(answer, request.signal);
    };
    const replication = new Replication(
      {
        ...{ replica, owner, ask, clock, random, hash, log, watch },
        sites: () => members,
        quarantine: new Quarantine({ clock, log, driftMsMax: 5000 }),
        belowFloor: (peer, origins) => floors.push([peer.name, origins]),
        held: () => (world.takingOver === name ? world.held : undefined),
        setBack: (peer, from) => setBacks.push([peer.name, from]),
      },
      { bytesPerSecond },
    );
    sites.set(name, { member, owner, replica, replication, watch, log, floors, asked, setBacks });
  }

  async function answerOf(from: string, to: string, request: TwinRequest): Promise<TwinAnswer> {
    if (cut.has(`${from} ${to}`)) throw new Error("ECONNREFUSED");
    const [path = "", query = ""] = request.path.split("?");
    const route = siteOf(to).replication.routes.find((one) => one.path === path);
    if (route === undefined) return { status: 404, body: Buffer.alloc(0) };
    const answer = await route.answer({
      peer: siteOf(from).member,
      body: request.body ?? Buffer.alloc(0),
      query: new Map(new URLSearchParams(query)),
      signal: request.signal,
    });
    if (cut.has(`${from} ${to}`)) throw new Error("ECONNRESET");
    return { status: answer.status, body: Buffer.from(answer.body) };
  }

  function siteOf(name: string): TwinSite {
    const site = sites.get(name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  return {
    ...{ clock, hash, members, world, site: siteOf },
    /** Cuts or mends the line, both ways. */
    cut: (left: string, right: string) => cut.add(`${left} ${right}`).add(`${right} ${left}`),
    mend: (left: string, right: string) => {
      cut.delete(`${left} ${right}`);
      cut.delete(`${right} ${left}`);
    },
    start: () => {
      for (const { replication } of sites.values()) replication.start();
    },
    stop: async () => {
      await Promise.all([...sites.values()].map(({ replication }) => replication.stop()));
    },
  };
}

async function untilAbort<Value>(value: Promise<Value>, signal: AbortSignal): Promise<Value> {
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(new Error("aborted"));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
  });
  try {
    return await Promise.race([value, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** A site writes a small object whose bytes are its key, unless something else is given. */
export function writeSmall({ replica }: TwinSite, key: string, text = key): void {
  const body = Buffer.from(text);
  replica.write(putOf(key, body), body);
}

/** How far a site has applied each log. */
export function appliedSeqs({ replica }: TwinSite): number[] {
  return [...replica.applied()].sort().map(([, seq]) => seq);
}
