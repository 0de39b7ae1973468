import { createHash } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { effectiveVector, NOTHING_SEEN } from "../../src/core/causality.ts";
import { laterStamp } from "../../src/core/lww.ts";
import { makeVersionId, parseSeq, SEQ_ZERO } from "../../src/core/names.ts";
import { decodeOperation } from "../../src/core/operation-codec.ts";
import type { Operation, Vector } from "../../src/core/records.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import { heldLogs } from "../../src/replication/held-logs.ts";
import type { LogPage } from "../../src/storage/replica.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { handOver, positionOf, whole } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { fetchFrom, linkRows } from "../support/row-link.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const BUCKET = bucketOf("plain");
const KEYS = ["a", "b"].map(keyOf);
const ATTRIBUTES = { system: [], user: [], storageClass: undefined, tags: [] };
const LIVES = 40;
const NEVER_REACHED = required(parseSeq(Number.MAX_SAFE_INTEGER), "sequence");
const NEVER = new AbortController().signal;

type Page = Extract<LogPage, { outcome: "page" }>;

/** Sites that write, hear of each other and take over each other's rows, step by step. */
class Life {
  readonly #seed: Seed;
  readonly sites: readonly SimSite[];
  readonly #takingOver = new Set<SimSite>();
  /** Operations that came by a log while rows were taken over. */
  heardBeside = 0;
  #writes = 0;

  constructor(seed: Seed, sites: readonly SimSite[]) {
    this.#seed = seed;
    this.sites = sites;
  }

  /** One thing that happens; while rows are taken over, nothing else begins to. */
  async step(mayTakeOver: boolean): Promise<void> {
    for (const { machine } of this.sites) machine.clock.leap(this.#seed.int(8));
    const site = this.#seed.pick(this.sites);
    const other = this.#seed.pick(this.sites);
    const dice = this.#seed.int(100);
    if (dice < 45) await this.#put(site);
    else if (dice < 52) await site.store.deleteObject({ bucket: BUCKET, key: this.#key() });
    else if (dice < 56) await this.#resolve(site);
    else if (dice < 62) await this.#tag(site);
    else if (dice < 86) await this.hear(other, site, this.#seed.chance(0.5) ? 1 : 1_000_000);
    else if (!mayTakeOver) return;
    else if (dice < 89) await site.restart(this.#seed.chance(0.5));
    else await this.takeOver(other, site);
  }

  /** Takes in what another site has in its log, unless that begins too late. */
  async hear(from: SimSite, to: SimSite, bytesMax = 1_000_000): Promise<number> {
    if (from === to) return 0;
    const { replica, rows } = to.store;
    const held = heldLogs({ holdsLogs: this.#takingOver.has(to) }, rows, replica);
    if (held === "all") return 0;
    const position = positionOf(to);
    // Nothing of these logs is asked for.
    for (const origin of held ?? []) position.set(origin, NEVER_REACHED);
    const page = await from.store.replica.readLog(position, bytesMax);
    if (page.outcome !== "page") return 0;
    const outcomes =
      held === undefined ? await handOver(from, to, bytesMax) : await this.#take(page, from, to);
    expect(outcomes.filter(({ outcome }) => outcome === "refused")).toEqual([]);
    if (held !== undefined) this.heardBeside += outcomes.length;
    return outcomes.length;
  }

  async #take({ entries, heads }: Page, from: SimSite, to: SimSite) {
    const { replica } = to.store;
    const incoming = entries.map((entry) => whole(from.store.replica, replica, entry));
    return await replica.ingest(await Promise.all(incoming), heads);
  }

  /** Takes over all rows of another site, while life goes on; it may be broken off. */
  async takeOver(from: SimSite, to: SimSite): Promise<boolean> {
    if (from === to || this.#takingOver.has(from)) return false;
    this.#takingOver.add(to);
    const link = linkRows(from, to);
    link.start = from.store.rows.start;
    const source = {
      site: from.running.site.identity.siteId,
      merges: true as const,
      start: link.calls.start.bind(link.calls),
      rows: async (request: Parameters<typeof link.calls.rows>[0], signal: AbortSignal) => {
        for (let left = this.#seed.int(6); left > 0; left--) await this.step(false);
        if (this.#seed.chance(0.05)) throw new Error("the link was cut");
        return await link.calls.rows({ ...request, bytesMax: 1 }, signal);
      },
    };
    const deps = { rows: to.store.rows, clock: to.clock, log: createMemoryLog() };
    const own = () => to.running.site.identity.origin;
    const run = new BootstrapRun({ ...deps, own, fetch: fetchFrom(from, to) }, source);
    const done = await run.run(NEVER).then(
      () => true,
      (failure: unknown) => {
        if (String(failure).includes("the link was cut")) return false;
        throw failure;
      },
    );
    if (done) this.#takingOver.delete(to);
    return done;
  }

  /** Ends what was broken off, and lets everybody hear everything, by logs as far as they reach. */
  async settle(): Promise<void> {
    for (let isBehind = true; isBehind; ) {
      for (const to of this.sites) {
        while (this.#takingOver.has(to)) await this.takeOver(this.#seed.pick(this.sites), to);
      }
      for (let heard = 1; heard > 0; ) {
        heard = 0;
        for (const from of this.sites) {
          for (const to of this.sites) heard += await this.hear(from, to);
        }
      }
      isBehind = await this.#bringTogether();
    }
  }

  /** Whose peers' logs begin too late takes over rows. */
  async #bringTogether(): Promise<boolean> {
    for (const from of this.sites) {
      for (const to of this.sites) {
        const page = await from.store.replica.readLog(positionOf(to), 1);
        if (page.outcome !== "below-floor") continue;
        await this.takeOver(from, to);
        return true;
      }
    }
    return false;
  }

  #key(): (typeof KEYS)[number] {
    return this.#seed.pick(KEYS);
  }

  async #put({ store }: SimSite): Promise<void> {
    const bytes = Buffer.from(`write ${++this.#writes}`);
    const etag = createHash("md5").update(bytes).digest("hex");
    const record = { size: bytes.length, etag, attributes: ATTRIBUTES, checksums: [], parts: [] };
    const name = { bucket: BUCKET, key: this.#key() };
    const body = { kind: "inline", bytes } as const;
    await store.putObject({ ...name, object: { ...record, encryption: undefined }, body });
  }

  async #tag({ store }: SimSite): Promise<void> {
    const tags = [["write", `${++this.#writes}`]] as const;
    const name = { bucket: BUCKET, key: this.#key() };
    await store.changeObject({ ...name, change: { kind: "tags", tags } });
  }

  async #resolve({ store }: SimSite): Promise<void> {
    const [conflict] = store.conflicts.list(BUCKET, undefined, 1).conflicts;
    if (conflict === undefined) return;
    const { key, version } = conflict;
    const wish = this.#seed.pick(["discard", "restore"] as const);
    await store.conflicts.resolve({ bucket: BUCKET, key, version }, wish);
  }
}

type Written = { readonly operation: Operation; readonly vector: Vector };

/** What a site has written, with what it had applied of others by then. */
async function writtenBy(site: SimSite): Promise<Written[]> {
  const { origin } = site.running.site.identity;
  const from = positionOf(site).set(origin, SEQ_ZERO);
  const page = await site.store.replica.readLog(from, 10_000_000);
  if (page.outcome !== "page") throw new Error("the log begins later");
  let vector: Vector = NOTHING_SEEN;
  return page.entries.map(({ encoded }) => {
    const operation = decodeOperation(encoded);
    vector = effectiveVector(vector, operation.vector);
    return { operation, vector };
  });
}

/** The conflicts, from the set of operations alone: puts that lost and that nobody named. */
function expectedConflicts(all: readonly Written[]): string[] {
  const names = (put: Operation): boolean =>
    all.some(({ operation: { body, dot }, vector }) => {
      if (!("key" in body) || !("key" in put.body) || body.key !== put.body.key) return false;
      if (body.kind === "conflict-resolve") return isDot(body.write, put.dot);
      if (body.kind !== "object-put" && body.kind !== "object-delete") return false;
      if (body.prior !== undefined) return isDot(body.prior, put.dot);
      return vector.size === 0 && dot.origin === put.dot.origin && put.dot.seq < dot.seq;
    });
  const lost = ({ hlc, dot, body }: Operation): boolean =>
    all.some(
      ({ operation: other }) =>
        (other.body.kind === "object-put" || other.body.kind === "object-delete") &&
        "key" in body &&
        other.body.key === body.key &&
        laterStamp({ hlc: other.hlc, ...other.dot }, { hlc, ...dot }),
    );
  return all
    .map(({ operation }) => operation)
    .filter((put) => put.body.kind === "object-put" && lost(put) && !names(put))
    .map(({ hlc, dot }) => makeVersionId(hlc, dot.origin) as string)
    .sort();
}

function isDot(one: Operation["dot"], other: Operation["dot"]): boolean {
  return one.origin === other.origin && one.seq === other.seq;
}

async function live(seed: Seed): Promise<number> {
  const sites: SimSite[] = [];
  for (const name of ["north", "south", "east"]) {
    const site = await SimSite.open(`${seed.derive(name).int(1_000_000_000)}`);
    sites.push(site);
    site.machine.clock.leap(seed.int(40));
    await site.store.createBucket({ name: BUCKET, owner: "o" });
  }
  const life = new Life(seed, sites);
  for (let left = 10 + seed.int(50); left > 0; left--) await life.step(true);
  await life.settle();
  const all: Written[] = [];
  for (const site of sites) all.push(...(await writtenBy(site)));
  const expected = expectedConflicts(all);
  const rows = sites.map(({ store }) => dumpLogicalRows(store));
  for (const [index, site] of sites.entries()) {
    const { conflicts } = site.store.conflicts.list(BUCKET, undefined, 1000);
    expect(conflicts.map(({ version }) => version as string).sort()).toEqual(expected);
    expect(rows[index]).toEqual(rows[0]);
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
  await closeSimSites();
  return life.heardBeside;
}

test("sites that take over each other's rows judge conflicts as the set of operations says", async () => {
  let heardBeside = 0;
  for (let number = 0; number < LIVES; number++) {
    const what = `life ${number}`;
    heardBeside += await live(new Seed(what)).catch((failure: unknown) => {
      throw new Error(`${what}: ${required(failure, "failure")}`);
    });
  }
  expect(heardBeside).toBeGreaterThan(LIVES / 2);
});
