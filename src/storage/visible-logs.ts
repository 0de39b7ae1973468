import { type Hole, type Holes, holeOf, NO_HOLES } from "../core/applied-set.ts";
import { asBuffer } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import { dotOfKey } from "./metadata/apply-origins.ts";
import { DROPPED_KEY, FLOORS_KEY, logRunKeyOf, POSITION_KEY } from "./metadata/keys.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { OriginHead, ParkedOperation, ParkedPart } from "./replica.ts";
import type { StoreParts } from "./store-parts.ts";

type Parts = Pick<StoreParts, "kv" | "hash" | "index">;
type Seen = {
  readonly received: ReadonlyMap<OriginId, OriginHead>;
  readonly applied: Vector;
  /** Once somebody has asked for all of them. */
  parked: readonly ParkedOperation[] | undefined;
  /** Once somebody has asked for them. */
  holes: Holes | undefined;
};

/** So many parked operations of an origin are looked at to tell its holes: half a millisecond. */
const HOLES_READ_MAX = 1024;
/** Runs that are told of all origins together: 25 KiB of every message. */
const RUNS_MAX = 1024;

/**
 * How far logs are as everybody may know it: durable, and visible in the index. Read again only
 * when the log has moved, so that asking costs nothing; and then it costs the same, however many
 * operations are parked, for every commit moves it.
 */
export class VisibleLogs {
  readonly #parts: Parts;
  readonly #origin: OriginId;
  #seen: Seen | undefined;
  #position: object | undefined;

  constructor(parts: Parts, origin: OriginId) {
    this.#parts = parts;
    this.#origin = origin;
  }

  get received(): ReadonlyMap<OriginId, OriginHead> {
    return this.#now().received;
  }

  get applied(): Vector {
    return this.#now().applied;
  }

  /** What is parked, beside `applied`. */
  get holes(): Holes {
    const seen = this.#now();
    seen.holes ??= this.#readHoles(seen);
    return seen.holes;
  }

  /** All that are parked, or a part of them. */
  parked(part?: ParkedPart): readonly ParkedOperation[] {
    if (part !== undefined) return this.#readParked(part.origin, part.behind, part.countMax);
    const seen = this.#now();
    seen.parked ??= this.#readParked();
    return seen.parked;
  }

  /** Operations up to these are not in the log: they were dropped, or came as rows. */
  floors(): Vector {
    const { index } = this.#parts;
    const floors = new Map<OriginId, Seq>();
    const trims = index.get(TABLES.dropped, DROPPED_KEY)?.record.trimPoints ?? [];
    const starts = index.get(TABLES.floors, FLOORS_KEY)?.record.heads ?? [];
    for (const { origin, seq } of [...trims, ...starts]) {
      if (seq > (floors.get(origin) ?? 0)) floors.set(origin, seq);
    }
    return floors;
  }

  /**
   * Every commit writes the position's row anew: while it is the same object, nothing has moved.
   */
  #now(): Seen {
    const position = this.#parts.index.get(TABLES.position, POSITION_KEY);
    if (this.#seen === undefined || position !== this.#position) {
      this.#seen = this.#read();
      this.#position = position;
    }
    return this.#seen;
  }

  #read(): Seen {
    const { kv, hash, index } = this.#parts;
    const received = new Map<OriginId, OriginHead>();
    const applied = new Map<OriginId, Seq>();
    const own = index.get(TABLES.position, POSITION_KEY);
    if (own !== undefined && own.origin === this.#origin && own.seq > 0) {
      const { origin, seq, chain, ownHlc } = own;
      received.set(origin, { origin, seq, chain, hlc: ownHlc });
      applied.set(origin, seq);
    }
    const { prefix } = TABLES.originHead;
    for (const { key, value } of kv.range({
      gte: indexKey(prefix, ""),
      lt: indexKey(prefix, "~"),
    })) {
      const origin = parseOriginId(asBuffer(key).toString("utf8", prefix.length));
      if (origin === undefined) continue;
      const { seq, chain, hlc } = decodeRow(TABLES.originHead, value, hash.crc32);
      received.set(origin, { origin, seq, chain, hlc });
      applied.set(origin, seq);
    }
    // Nearly always there are none.
    const origins = this.#readParked(undefined, 0, 1).length === 0 ? [] : received.keys();
    for (const origin of origins) {
      const [first] = this.#readParked(origin, 0, 1);
      if (first === undefined) continue;
      const before = parseSeq(first.dot.seq - 1);
      if (before === 0) applied.delete(origin);
      else if (before !== undefined) applied.set(origin, before);
    }
    return { received, applied, parked: undefined, holes: undefined };
  }

  #readHoles({ received, applied }: Seen): Holes {
    const holes = new Map<OriginId, Hole>();
    let runsLeft = RUNS_MAX;
    for (const { origin, seq } of received.values()) {
      if (applied.get(origin) === seq || runsLeft === 0) continue;
      const parked = this.#parkedSeqs(origin);
      const last = parked.length < HOLES_READ_MAX ? undefined : parked.at(-1);
      const hole = holeOf(last ?? seq, parked, Math.min(runsLeft, LIMITS.replicationHolesMax));
      runsLeft -= hole?.ranges.length ?? 0;
      if (hole !== undefined) holes.set(origin, hole);
    }
    return holes.size === 0 ? NO_HOLES : holes;
  }

  /** The first parked operations of an origin: their rows are not decoded. */
  #parkedSeqs(origin: OriginId): Seq[] {
    const { prefix } = TABLES.parked;
    const gte = indexKey(prefix, logRunKeyOf(origin, 0));
    const lt = indexKey(prefix, `${origin}~`);
    const seqs: Seq[] = [];
    for (const { key } of this.#parts.kv.range({ gte, lt, limit: HOLES_READ_MAX })) {
      const dot = dotOfKey(asBuffer(key).toString("latin1", prefix.length));
      if (dot !== undefined) seqs.push(dot.seq);
    }
    return seqs;
  }

  #readParked(origin?: OriginId, behind = 0, limit?: number): ParkedOperation[] {
    const { kv, hash } = this.#parts;
    const { prefix } = TABLES.parked;
    const parked: ParkedOperation[] = [];
    const from = origin === undefined ? "" : logRunKeyOf(origin, behind + 1);
    for (const { key, value } of kv.range({
      gte: indexKey(prefix, from),
      lt: indexKey(prefix, `${origin ?? ""}~`),
      ...(limit === undefined ? {} : { limit }),
    })) {
      const dot = dotOfKey(asBuffer(key).toString("utf8", prefix.length));
      if (dot === undefined) continue;
      const { hlc, reason } = decodeRow(TABLES.parked, value, hash.crc32);
      parked.push({ dot, hlc, reason });
    }
    return parked;
  }
}
