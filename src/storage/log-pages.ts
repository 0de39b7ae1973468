import { asBuffer } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import type { OriginId, Seq } from "../core/names.ts";
import type { SignedHead } from "../core/origin-records.ts";
import type { Vector } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv, KvRange } from "../ports/kv.ts";
import type { BatchPlace } from "./log-batch.ts";
import { dotOfKey } from "./metadata/apply-origins.ts";
import { logRunKeyOf } from "./metadata/keys.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { ReadOperation } from "./recent-batches.ts";
import type { LogEntry, LogPage } from "./replica.ts";

export type LogPagesDeps = {
  readonly kv: Kv;
  readonly hash: Pick<Hash, "crc32">;
  /** Our own origins, now and before: their heads are signed when they are sent. */
  readonly ownOrigins: ReadonlySet<OriginId>;
  readonly read: (place: BatchPlace) => Promise<readonly ReadOperation[]>;
};

export type PageWish = {
  readonly after: Vector;
  /** How far the log goes, for each origin in it. */
  readonly received: Vector;
  /** Where it begins. */
  readonly floors: Vector;
  /**
   * The size of a page, exceeded only by a single operation, a single group, or what is missing up
   * to a signed head.
   */
  readonly bytesMax: number;
};

/** Counted for each entry beside its bytes, so that a page of empty entries ends too. */
const ENTRY_BYTES = 16;

/**
 * Reads the operations beyond a vector, in the order of this log. The index tells which batches
 * hold any of them, so that nothing else is read.
 *
 * The operations of each origin in a page end at a head that the origin's site has signed. So a
 * peer can check them without believing whoever handed them over.
 *
 * @throws StorageFault "corrupt" when the first batch is damaged; damage further on ends the page.
 */
export async function readLogPage(deps: LogPagesDeps, wish: PageWish): Promise<LogPage> {
  const behind = [...wish.received].filter(([origin, seq]) => seq > at(wish.after, origin));
  const below = behind
    .filter(([origin]) => at(wish.floors, origin) > at(wish.after, origin))
    .map(([origin]) => origin);
  if (below.length > 0) return { outcome: "below-floor", origins: below };
  const targets = new Map<OriginId, Seq>();
  for (const [origin, seq] of behind) {
    // Operations that no signature covers yet are useless to peers, and must not block the others.
    const isOwn = deps.ownOrigins.has(origin);
    const last = isOwn ? seq : signedHead(deps, lastUntil(origin, seq))?.seq;
    if (last !== undefined && last > at(wish.after, origin)) targets.set(origin, last);
  }
  const page = new Page(deps, wish, targets);
  await page.fill();
  return page.finish();
}

type Position = { readonly origin: OriginId; readonly seq: Seq };
type Taken = Position & { readonly entry: LogEntry };
/** Operations that travel together: one, or all of a group. */
type Unit = { readonly taken: readonly Taken[]; readonly bytes: number };

/**
 * A page that is being gathered. Invariant: for every origin it holds the operations from the
 * requested vector up to `#reached`, without a gap.
 */
class Page {
  readonly #deps: LogPagesDeps;
  readonly #wish: PageWish;
  readonly #targets: ReadonlyMap<OriginId, Seq>;
  readonly #reached: Map<OriginId, Seq>;
  #taken: Taken[] = [];
  #bytes = 0;

  constructor(deps: LogPagesDeps, wish: PageWish, targets: ReadonlyMap<OriginId, Seq>) {
    this.#deps = deps;
    this.#wish = wish;
    this.#targets = targets;
    this.#reached = new Map(wish.after);
  }

  /**
   * Takes operations until the page is full, and then those that are missing up to signed heads.
   */
  async fill(): Promise<void> {
    const full = await this.#take(this.#targets, this.#wish.bytesMax);
    if (!full) return;
    for (const [origin, seq] of this.#reached) {
      if (this.#deps.ownOrigins.has(origin) || !this.#targets.has(origin)) continue;
      if (seq === at(this.#wish.after, origin)) continue;
      const head = signedHead(this.#deps, firstFrom(origin, seq));
      if (head === undefined || head.seq === seq) continue;
      await this.#take(new Map([[origin, head.seq]]), Number.POSITIVE_INFINITY);
    }
  }

  finish(): LogPage {
    const heads: SignedHead[] = [];
    for (const [origin, seq] of this.#reached) {
      if (this.#deps.ownOrigins.has(origin) || seq === at(this.#wish.after, origin)) continue;
      const head = signedHead(this.#deps, firstFrom(origin, seq));
      if (head?.seq === seq) heads.push(head);
      // Nobody could check operations behind the last signature.
      else this.#cut(origin, signedHead(this.#deps, lastUntil(origin, seq)), heads);
    }
    const entries = this.#taken.map(({ entry }) => entry);
    const more = [...this.#targets].some(([origin, seq]) => at(this.#reached, origin) < seq);
    return { outcome: "page", entries, heads, more };
  }

  /**
   * Takes operations beyond `#reached` up to the targets; returns whether the size limit ended it.
   */
  async #take(targets: ReadonlyMap<OriginId, Seq>, bytesMax: number): Promise<boolean> {
    for (;;) {
      const place = this.#nextPlace(targets);
      if (place === undefined) return false;
      const batch = await this.#read(place);
      if (batch === undefined) return true;
      const units = this.#unitsOf(batch, targets);
      if (units.length === 0) throw lostRun(place);
      for (const unit of units) {
        if (this.#taken.length > 0 && this.#bytes + unit.bytes > bytesMax) return true;
        this.#taken.push(...unit.taken);
        this.#bytes += unit.bytes;
        for (const { origin, seq } of unit.taken) this.#reached.set(origin, seq);
      }
    }
  }

  /** Reads a batch; undefined when it is damaged and the page can end before it. */
  async #read(place: BatchPlace): Promise<readonly ReadOperation[] | undefined> {
    try {
      return await this.#deps.read(place);
    } catch (failure) {
      // What has been read so far is whole. The next page begins with the damage, and reports it.
      if (this.#taken.length === 0) throw failure;
      return undefined;
    }
  }

  /** The earliest batch that holds the next operation of any of the origins. */
  #nextPlace(targets: ReadonlyMap<OriginId, Seq>): BatchPlace | undefined {
    let first: BatchPlace | undefined;
    for (const [origin, target] of targets) {
      const reached = at(this.#reached, origin);
      if (reached >= target) continue;
      const place = placeOfOperation(this.#deps, origin, reached + 1);
      if (place === undefined) continue;
      if (first === undefined || isBefore(place, first)) first = place;
    }
    return first;
  }

  #unitsOf(batch: readonly ReadOperation[], targets: ReadonlyMap<OriginId, Seq>): Unit[] {
    const units: Unit[] = [];
    const next = new Map(this.#reached);
    let group: string | undefined;
    for (const { operation, encoded, inline, missing } of batch) {
      const { origin, seq } = operation.dot;
      if (seq !== at(next, origin) + 1 || seq > at(targets, origin)) continue;
      next.set(origin, seq);
      const entry = missing === undefined ? { encoded, inline } : { encoded, inline, missing };
      const taken = { origin, seq, entry };
      const bytes = encoded.length + (inline?.length ?? 0) + ENTRY_BYTES;
      const last = units.at(-1);
      if (operation.group !== undefined && operation.group.id === group && last !== undefined) {
        units[units.length - 1] = { taken: [...last.taken, taken], bytes: last.bytes + bytes };
      } else units.push({ taken: [taken], bytes });
      group = operation.group?.id;
    }
    return units;
  }

  #cut(origin: OriginId, head: SignedHead | undefined, heads: SignedHead[]): void {
    const until = head?.seq ?? 0;
    this.#taken = this.#taken.filter((one) => one.origin !== origin || one.seq <= until);
    const after = this.#wish.after.get(origin);
    if (head !== undefined && head.seq > (after ?? 0)) {
      this.#reached.set(origin, head.seq);
      heads.push(head);
    } else if (after === undefined) this.#reached.delete(origin);
    else this.#reached.set(origin, after);
  }
}

/** The batch that holds an operation: that of the last run which begins at or before it. */
export function placeOfOperation(
  { kv, hash }: Pick<LogPagesDeps, "kv" | "hash">,
  origin: OriginId,
  seq: number,
): BatchPlace | undefined {
  const range = { gte: runKey(origin, 0), lt: runKey(origin, seq + 1), reverse: true, limit: 1 };
  for (const { key, value } of kv.range(range)) {
    const first = dotOfKey(asBuffer(key).toString("utf8", 1))?.seq ?? 0;
    const run = decodeRow(TABLES.logRun, value, hash.crc32);
    return seq < first + run.count ? run : undefined;
  }
  return undefined;
}

/** The first signed head of an origin at or behind a position. */
function firstFrom(origin: OriginId, seq: Seq): KvRange {
  return { gte: headKey(origin, seq), lt: headKey(origin, Number.MAX_SAFE_INTEGER), limit: 1 };
}

/** The last signed head of an origin up to a position. */
function lastUntil(origin: OriginId, seq: Seq): KvRange {
  return { gte: headKey(origin, 0), lt: headKey(origin, seq + 1), reverse: true, limit: 1 };
}

function signedHead({ kv, hash }: LogPagesDeps, range: KvRange): SignedHead | undefined {
  for (const { key, value } of kv.range(range)) {
    const dot = dotOfKey(asBuffer(key).toString("utf8", 1));
    if (dot === undefined) return undefined;
    const { site, chain, signature } = decodeRow(TABLES.signedHead, value, hash.crc32);
    return { ...dot, site, chain, signature };
  }
  return undefined;
}

function lostRun({ segment, offset }: BatchPlace): StorageFault {
  const where = `segment ${segment} at ${offset}`;
  return new StorageFault("corrupt", `the batch in ${where} lacks what the index says it holds`, {
    hint: "Stop the server and run `atoll rebuild-index`; no data is lost.",
  });
}

function at(vector: ReadonlyMap<OriginId, Seq>, origin: OriginId): number {
  return vector.get(origin) ?? 0;
}

function isBefore(left: BatchPlace, right: BatchPlace): boolean {
  return left.segment === right.segment ? left.offset < right.offset : left.segment < right.segment;
}

function runKey(origin: OriginId, seq: number): Buffer {
  return indexKey(TABLES.logRun.prefix, logRunKeyOf(origin, seq));
}

function headKey(origin: OriginId, seq: number): Buffer {
  return indexKey(TABLES.signedHead.prefix, logRunKeyOf(origin, seq));
}
