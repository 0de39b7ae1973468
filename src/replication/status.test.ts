import { beforeEach, describe, expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { type AppliedSet, type Holes, NO_HOLES } from "../core/applied-set.ts";
import { ByteWriter } from "../core/bytes.ts";
import { hlcFromMs } from "../core/hlc.ts";
import {
  type BucketName,
  type OriginId,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  parseSiteId,
  type Seq,
  type SiteId,
} from "../core/names.ts";
import { encodeOperation } from "../core/operation-codec.ts";
import type { ObjectRecord, OperationBody, Vector } from "../core/records.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { LogEntry, LogPage, OriginHead } from "../storage/replica.ts";
import { LagCounter } from "./lag-counter.ts";
import type { Lag } from "./lag-ledger.ts";
import {
  createReplicationWatch,
  NOTHING_MOVED,
  type PeerFacts,
  type ReplicationWatch,
} from "./status.ts";

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the test's own data is wrong");
  return value;
}

const BERLIN = must(parseSiteId("1".repeat(16)));
const PARIS = must(parseSiteId("2".repeat(16)));
const OSLO = must(parseSiteId("3".repeat(16)));
const OF_BERLIN = must(parseOriginId("a".repeat(16)));
const OF_PARIS = must(parseOriginId("b".repeat(16)));
const OF_OSLO = must(parseOriginId("c".repeat(16)));
const PHOTOS = must(parseBucketName("photos"));
const VIDEOS = must(parseBucketName("videos"));
const START_MS = 1_700_000_000_000;

/** A log in memory that counts what is read of it. */
class LogOnPaper {
  readonly entries: Array<LogEntry & { origin: OriginId; seq: Seq }> = [];
  readonly heads = new Map<OriginId, OriginHead>();
  floor: Vector = new Map();
  read = 0;

  write(origin: OriginId, body: OperationBody, atMs: number): void {
    const seq = must(parseSeq((this.heads.get(origin)?.seq ?? 0) + 1));
    const hlc = hlcFromMs(atMs);
    const chain = Buffer.alloc(32);
    const writer = new ByteWriter();
    encodeOperation(writer, {
      ...{ dot: { origin, seq }, hlc, chainBefore: chain, group: undefined, unknownFields: [] },
      ...{ vector: { full: true, entries: new Map() }, body },
    });
    this.entries.push({ origin, seq, encoded: writer.finish(), inline: undefined });
    this.heads.set(origin, { origin, seq, chain, hlc });
  }

  received = (): ReadonlyMap<OriginId, OriginHead> => this.heads;
  /** What is parked is received, and nothing behind it counts as applied without exception. */
  parkedAt = new Map<OriginId, Seq>();
  applied = (): Vector =>
    new Map([...this.heads].map(([origin, { seq }]) => [origin, this.parkedAt.get(origin) ?? seq]));
  waiting: Holes = NO_HOLES;
  holes = (): Holes => this.waiting;
  parkedCount = () => 0;
  floors = (): Vector => this.floor;

  /** Ten operations a page, so that there are many. */
  readLog = async (after: Vector): Promise<LogPage> => {
    const wanted = this.entries.filter(({ origin, seq }) => seq > (after.get(origin) ?? 0));
    const entries = wanted.slice(0, 10);
    this.read += entries.length;
    return { outcome: "page", entries, heads: [], more: wanted.length > 10 };
  };
}

function put(bucket: BucketName, bytes: number): OperationBody {
  const object: ObjectRecord = {
    ...{ size: bytes, etag: "0".repeat(32), lastModifiedMs: START_MS, checksums: [], parts: [] },
    attributes: { system: [], user: [], storageClass: undefined, tags: [] },
    encryption: undefined,
    body: { kind: "inline", bytes },
  };
  const key = must(parseObjectKey("cat"));
  return { kind: "object-put", bucket, key, nullSlot: true, object };
}

function siteOf(id: SiteId, name: string, origin: OriginId): MemberSite {
  return {
    ...{ id, name, publicKey: "0".repeat(64), addresses: [], certificates: [] },
    ...{ origins: [origin], removedOrigins: [], state: "active", featureLevel: 1, insecure: false },
  };
}

const UNHEARD: PeerFacts = {
  ...{ link: "connecting", applied: undefined, received: undefined, skewMs: undefined },
  ...{ holes: NO_HOLES, heardMonotonicMs: undefined, lastError: undefined },
};

let log: LogOnPaper;
let clock: SimClock;
let sites: MemberSite[];
let facts: Map<SiteId, PeerFacts>;
let watch: ReplicationWatch;
let rest: () => Promise<void>;
let ask: (has: AppliedSet) => Lag | undefined;

beforeEach(() => {
  log = new LogOnPaper();
  clock = new SimClock(START_MS);
  facts = new Map();
  rest = async () => undefined;
  ask = () => undefined;
  sites = [siteOf(BERLIN, "berlin", OF_BERLIN), siteOf(PARIS, "paris", OF_PARIS)];
  watch = createReplicationWatch({
    ...{ self: BERLIN, clock, replica: log },
    counter: new LagCounter({ replica: log, rest: () => rest() }),
    sites: () => sites,
    ask: async (_peer, has) => ask(has),
    facts: (peer) => facts.get(peer) ?? UNHEARD,
    ...{
      quarantined: () => [],
      refused: () => new Map(),
      moved: () => NOTHING_MOVED,
      conflicts: () => 0,
      remote: () => ({ manifests: 0, bytes: 0 }),
      guard: { state: { kind: "trusted" } },
    },
  });
});

function paris(applied: Vector, received: Vector = applied, holes: Holes = NO_HOLES): void {
  const word = { applied, received, holes };
  facts.set(PARIS, { ...UNHEARD, ...word, link: "connected", heardMonotonicMs: 0 });
}

/** One operation waits for its bytes, and all others up to a position have been applied. */
function holeAt(origin: OriginId, seq: number, upTo: number): Holes {
  const [at, end] = [must(parseSeq(seq)), must(parseSeq(upTo))];
  return new Map([[origin, { upTo: end, ranges: [[at, at]] }]]);
}

function vectorOf(...entries: Array<readonly [OriginId, number]>): Vector {
  return new Map(entries.map(([origin, seq]) => [origin, must(parseSeq(seq))]));
}

async function peer() {
  return must((await watch.status()).peers[0]);
}

describe("the status of a peer", () => {
  test("counts what it has not applied, by bucket, and how old that is", async () => {
    for (let at = 0; at < 30; at++) log.write(OF_BERLIN, put(PHOTOS, 100), START_MS + at * 1000);
    for (let at = 0; at < 5; at++) log.write(OF_BERLIN, put(VIDEOS, 1000), START_MS + 40_000);
    clock.jump(45_000);
    paris(vectorOf([OF_BERLIN, 25]));
    expect(await peer()).toMatchObject({
      ...{ site: PARIS, label: "paris", state: "catching-up", ahead: 0 },
      behind: {
        operations: 10,
        detail: {
          ...{ bytes: 5500, seconds: 20 },
          buckets: new Map([
            ["photos", { operations: 5, bytes: 500 }],
            ["videos", { operations: 5, bytes: 5000 }],
          ]),
        },
      },
    });
  });

  test("is in sync only when both have applied the same, and the link is there", async () => {
    log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
    paris(vectorOf());
    expect((await peer()).state).toBe("catching-up");
    paris(vectorOf([OF_BERLIN, 1]));
    expect(await peer()).toMatchObject({ state: "in-sync", behind: { operations: 0 } });
    paris(vectorOf([OF_BERLIN, 1], [OF_PARIS, 3]));
    expect(await peer()).toMatchObject({ state: "catching-up", ahead: 3 });
    facts.set(PARIS, { ...must(facts.get(PARIS)), link: "unreachable" });
    expect((await peer()).state).toBe("unreachable");
    facts.clear();
    expect(await peer()).toMatchObject({ state: "connecting", behind: undefined });
  });

  test("counts what waits for its bytes, and not what arrived behind it", async () => {
    log.write(OF_BERLIN, put(VIDEOS, 5_000_000), START_MS);
    for (let at = 1; at <= 30; at++) log.write(OF_BERLIN, put(PHOTOS, 100), START_MS + at * 1000);
    clock.jump(60_000);
    const received = vectorOf([OF_BERLIN, 29]);
    paris(vectorOf(), received, holeAt(OF_BERLIN, 1, 29));
    expect((await peer()).behind).toMatchObject({
      operations: 3,
      detail: {
        ...{ bytes: 5_000_200, seconds: 60 },
        buckets: new Map([
          ["videos", { operations: 1, bytes: 5_000_000 }],
          ["photos", { operations: 2, bytes: 200 }],
        ]),
      },
    });
    // The large one is there, and a small one is not: nothing is old any more.
    paris(vectorOf([OF_BERLIN, 29]), received);
    expect((await peer()).behind).toMatchObject({
      ...{ operations: 2, detail: { bytes: 200, seconds: 31 } },
    });
  });

  test("is ahead by what waits here, and asked about that alone", async () => {
    log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
    for (let at = 0; at < 9; at++) log.write(OF_PARIS, put(PHOTOS, 1), START_MS);
    log.parkedAt.set(OF_PARIS, must(parseSeq(3)));
    log.waiting = holeAt(OF_PARIS, 4, 9);
    paris(vectorOf([OF_BERLIN, 1], [OF_PARIS, 10]));
    ask = (has) => {
      expect(has).toEqual({ applied: log.applied(), holes: log.waiting });
      return { operations: 2, bytes: 2, oldestMs: START_MS, buckets: new Map() };
    };
    expect(await peer()).toMatchObject({
      ...{ state: "catching-up", ahead: 2, aheadDetail: { bytes: 2 } },
    });
  });

  test("is not in sync while the same write is parked at both", async () => {
    for (let at = 0; at < 3; at++) log.write(OF_OSLO, put(PHOTOS, 1), START_MS);
    // The third has been applied here, and has not arrived there: positions alone do not tell.
    log.parkedAt.set(OF_OSLO, must(parseSeq(1)));
    paris(vectorOf([OF_OSLO, 1]), vectorOf([OF_OSLO, 2]));
    expect(await peer()).toMatchObject({
      ...{ state: "catching-up", behind: { operations: 2 }, ahead: 1 },
    });
    log.parkedAt.clear();
    paris(vectorOf([OF_OSLO, 3]));
    expect(await peer()).toMatchObject({
      ...{ state: "in-sync", behind: { operations: 0 }, ahead: 0 },
    });
  });

  test("is not in sync by what it said while it was asked", async () => {
    log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
    paris(vectorOf([OF_BERLIN, 1]), vectorOf([OF_BERLIN, 1], [OF_PARIS, 1]));
    ask = () => {
      log.write(OF_PARIS, put(PHOTOS, 1), START_MS);
      paris(vectorOf([OF_BERLIN, 1], [OF_PARIS, 1]));
      return undefined;
    };
    expect(await peer()).toMatchObject({ state: "catching-up", ahead: 1 });
    expect(await peer()).toMatchObject({ state: "in-sync", ahead: 0 });
  });

  test("is never behind in what it wrote itself", async () => {
    log.write(OF_PARIS, put(PHOTOS, 1), START_MS);
    log.write(OF_OSLO, put(PHOTOS, 1), START_MS);
    paris(vectorOf());
    expect((await peer()).behind).toMatchObject({ operations: 1, detail: { bytes: 1 } });
  });

  test("says that rows are needed when the log begins too late", async () => {
    for (let at = 0; at < 3; at++) log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
    log.floor = vectorOf([OF_BERLIN, 2]);
    paris(vectorOf([OF_BERLIN, 1]));
    expect(await peer()).toMatchObject({
      ...{ state: "needs-bootstrap", behind: { operations: 2, detail: undefined } },
    });
    paris(vectorOf([OF_BERLIN, 2]));
    expect(await peer()).toMatchObject({ state: "catching-up", behind: { operations: 1 } });
  });

  test("tells how long it will take from the pace since the last look", async () => {
    for (let at = 0; at < 40; at++) log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
    paris(vectorOf());
    expect((await peer()).behind?.etaSeconds).toBeUndefined();
    await clock.advance(2000);
    paris(vectorOf([OF_BERLIN, 10]));
    expect((await peer()).behind?.etaSeconds).toBe(6);
    await clock.advance(10);
    expect((await peer()).behind?.etaSeconds).toBe(6);
    paris(vectorOf([OF_BERLIN, 40]));
    expect((await peer()).behind?.etaSeconds).toBe(0);
  });

  test("tells so too of a peer that takes over as much as is written meanwhile", async () => {
    for (let at = 0; at < 10; at++) log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
    paris(vectorOf());
    await peer();
    await clock.advance(2000);
    for (let at = 0; at < 40; at++) log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
    paris(vectorOf([OF_BERLIN, 40]));
    expect((await peer()).behind).toMatchObject({ operations: 10, etaSeconds: 0.5 });
  });
});

test("what was counted, and what every peer has, is not read again", async () => {
  for (let at = 0; at < 50; at++) log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
  paris(vectorOf([OF_BERLIN, 20]));
  await peer();
  expect(log.read).toBe(30);
  for (let at = 0; at < 5; at++) log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
  paris(vectorOf([OF_BERLIN, 54]));
  expect((await peer()).behind).toMatchObject({ operations: 1, detail: { bytes: 1 } });
  expect(log.read).toBe(31);
  paris(vectorOf([OF_BERLIN, 55]));
  await peer();
  expect(log.read).toBe(31);
  // A peer that was set back to a backup has to be counted from there.
  paris(vectorOf([OF_BERLIN, 5]));
  expect((await peer()).behind).toMatchObject({ operations: 50, detail: { bytes: 50 } });
});

test("peers of one name are told apart, and members that were removed are none", async () => {
  const namesake = siteOf(OSLO, "paris", OF_OSLO);
  sites.push(namesake);
  expect((await watch.status()).peers.map(({ label }) => label)).toEqual([
    `paris (${PARIS})`,
    `paris (${OSLO})`,
  ]);
  sites = [must(sites[0]), must(sites[1]), { ...namesake, state: "removed" }];
  expect((await watch.status()).peers.map(({ label }) => label)).toEqual(["paris"]);
});

test("who asks while a long log is counted is told what positions tell", async () => {
  for (let at = 0; at < 50; at++) log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
  paris(vectorOf([OF_BERLIN, 5]));
  let goOn = (): void => undefined;
  rest = () => new Promise((resolve) => (goOn = resolve));
  const asked = peer();
  await clock.advance(2000);
  expect((await asked).behind).toMatchObject({ operations: 45, detail: undefined });
  rest = async () => undefined;
  goOn();
  expect((await peer()).behind).toMatchObject({ operations: 45, detail: { bytes: 45 } });
  expect(clock.pendingTimers).toBe(0);
});

test("sums that speak of another moment than the positions are not told", async () => {
  for (let at = 0; at < 5; at++) log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
  paris(vectorOf([OF_BERLIN, 2]));
  const readLog = log.readLog;
  let more = 3;
  log.readLog = async (after) => {
    const page = await readLog(after);
    if (more-- > 0) log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
    return page;
  };
  expect((await peer()).behind).toMatchObject({ operations: 6, detail: { bytes: 6 } });
  more = Number.POSITIVE_INFINITY;
  expect((await peer()).behind?.detail).toBeUndefined();
});

test("what a peer has ahead is told as it says, and is nothing when there is nothing", async () => {
  log.write(OF_BERLIN, put(PHOTOS, 1), START_MS);
  paris(vectorOf([OF_BERLIN, 1]));
  expect(await peer()).toMatchObject({ ahead: 0, aheadDetail: { bytes: 0, seconds: 0 } });
  paris(vectorOf([OF_BERLIN, 1]), vectorOf([OF_BERLIN, 1], [OF_PARIS, 7]));
  expect(await peer()).toMatchObject({ ahead: 7, aheadDetail: undefined });
  const buckets = new Map([["photos", { operations: 7, bytes: 70 }]]);
  ask = (has) => {
    expect(has).toEqual({ applied: vectorOf([OF_BERLIN, 1]), holes: NO_HOLES });
    return { operations: 7, bytes: 70, oldestMs: START_MS - 3000, buckets };
  };
  expect(await peer()).toMatchObject({
    ...{ ahead: 7, aheadDetail: { bytes: 70, seconds: 3, buckets } },
  });
});

test("a peer is told what it lacks, but not below the floor", async () => {
  for (let at = 0; at < 25; at++) log.write(OF_BERLIN, put(PHOTOS, 2), START_MS);
  const from = { applied: vectorOf([OF_BERLIN, 5]), holes: NO_HOLES };
  expect(await watch.behind(from, new Set())).toMatchObject({ operations: 20, bytes: 40 });
  expect(await watch.behind(from, new Set([OF_BERLIN]))).toMatchObject({ operations: 0 });
  log.floor = vectorOf([OF_BERLIN, 6]);
  expect(await watch.behind(from, new Set())).toBeUndefined();
});
