import { type AppliedSet, missingRanges } from "../core/applied-set.ts";
import { type OriginId, parseSeq, type Seq } from "../core/names.ts";
import type { Dot, Vector } from "../core/records.ts";

/** How many operations, and bytes of bodies that belong to them. */
export type Tally = { readonly operations: number; readonly bytes: number };

/** What a site has not applied yet of what this one has. */
export type Lag = Tally & {
  /** Unix milliseconds of the oldest of them, by its origin; undefined when there is none. */
  readonly oldestMs: number | undefined;
  readonly buckets: ReadonlyMap<string, Tally>;
};

/** One operation as it counts. */
export type CountedOperation = Dot & {
  /** Undefined for what belongs to no bucket: access keys, sites. */
  readonly bucket: string | undefined;
  readonly bytes: number;
  readonly hlcMs: number;
};

/** Operations whose detail has to be read again before a lag can be told exactly. */
export type MissingDetail = {
  readonly origin: OriginId;
  /** The last operation before them, and the last of them. */
  readonly after: Seq;
  readonly last: number;
};

type MutableTally = { operations: number; bytes: number };

/** Each operation of a block: 20 bytes. */
type Detail = {
  readonly buckets: Uint32Array;
  readonly bytes: Float64Array;
  readonly hlcMs: Float64Array;
};

/** Consecutive operations of one origin, summed up; one by one as long as there is room. */
type Block = {
  readonly first: number;
  count: number;
  readonly oldestMs: number;
  readonly sums: Map<number, MutableTally>;
  detail: Detail | undefined;
};

const BLOCK_OPERATIONS = 1024;
const NO_BLOCK = { first: 1, count: 0 };
/** Stands for "no bucket" among the numbers of buckets. */
const NO_BUCKET = 0;

/**
 * Sums of the operations that some peer may not have applied, so that what is beyond a vector can
 * be told without reading the log. Invariants: the blocks of an origin are consecutive and
 * ascending; a block's sums are those of its operations.
 */
export class LagLedger {
  readonly #blocks = new Map<OriginId, Block[]>();
  /** Names of buckets by number, and the other way round. */
  readonly #names: string[] = [""];
  readonly #numbers = new Map<string, number>();
  readonly #detailedMax: number;
  #detailed: Block[] = [];

  /**
   * @param operationsMax how many operations are kept one by one, in 20 bytes each; at least a
   * block of each origin is.
   */
  constructor(operationsMax = 1024 * BLOCK_OPERATIONS) {
    this.#detailedMax = Math.max(1, Math.ceil(operationsMax / BLOCK_OPERATIONS));
  }

  /** The last operation of an origin that was counted; 0 when none is kept. */
  counted(origin: OriginId): number {
    const last = this.#blocks.get(origin)?.at(-1);
    return last === undefined ? 0 : lastOf(last);
  }

  /** Counts an operation; those of an origin come in order, and one that was counted is passed. */
  add(operation: CountedOperation): void {
    const { origin, seq } = operation;
    const counted = this.counted(origin);
    if (seq <= counted) return;
    // After a gap nothing before it can be told any more, and nobody asks for it.
    if (seq !== counted + 1) this.#blocks.delete(origin);
    const blocks = this.#blocks.get(origin) ?? [];
    if (blocks.length === 0) this.#blocks.set(origin, blocks);
    let block = blocks.at(-1);
    if (block === undefined || block.count === BLOCK_OPERATIONS) {
      block = this.#begin(operation);
      blocks.push(block);
    }
    const bucket = this.#numberOf(operation.bucket);
    const { detail, sums } = block;
    if (detail !== undefined) writeDetail(detail, block.count, bucket, operation);
    block.count += 1;
    const sum = sums.get(bucket);
    if (sum === undefined) sums.set(bucket, { operations: 1, bytes: operation.bytes });
    else {
      sum.operations += 1;
      sum.bytes += operation.bytes;
    }
  }

  /**
   * Forgets whole blocks up to a vector: what every peer has. An origin whose sums begin later than
   * the vector is forgotten too, for it has to be counted from there.
   */
  keepBeyond(vector: Vector): void {
    for (const [origin, blocks] of [...this.#blocks]) {
      const seq = vector.get(origin) ?? 0;
      const beginsLate = (blocks[0]?.first ?? 0) > seq + 1;
      const kept = beginsLate ? -1 : blocks.findIndex((block) => lastOf(block) > seq);
      const gone = blocks.splice(0, kept < 0 ? blocks.length : kept);
      if (gone.length > 0) this.#detailed = this.#detailed.filter((one) => !gone.includes(one));
      if (blocks.length === 0) this.#blocks.delete(origin);
    }
  }

  /** Where counting continues for each origin: behind what was counted, or at the vector. */
  beyond(vector: ReadonlyMap<OriginId, Seq>): Vector {
    const next = new Map(vector);
    for (const [origin, blocks] of this.#blocks) {
      const last = parseSeq(lastOf(blocks[blocks.length - 1] ?? NO_BLOCK));
      if (last !== undefined && last > (next.get(origin) ?? 0)) next.set(origin, last);
    }
    return next;
  }

  /**
   * What a site lacks that has applied so much, without the origins in `without`; or the detail
   * that must be read again to know.
   */
  behind(has: AppliedSet, without: ReadonlySet<OriginId>): Lag | MissingDetail {
    const sums = new Map<number, MutableTally>();
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const [origin, blocks] of this.#blocks) {
      if (without.has(origin)) continue;
      for (const [first, last] of missingRanges(has, origin, this.counted(origin))) {
        for (const block of blocks) {
          if (lastOf(block) < first || block.first > last) continue;
          const from = Math.max(0, first - block.first);
          const to = Math.min(block.count, last + 1 - block.first);
          const isWhole = from === 0 && to === block.count;
          if (!isWhole && block.detail === undefined) return missing(origin, block);
          addBlock(sums, block, from, to);
          const sinceMs = from === 0 ? block.oldestMs : (block.detail?.hlcMs[from] ?? 0);
          oldestMs = Math.min(oldestMs, sinceMs);
        }
      }
    }
    return this.#lagOf(sums, Number.isFinite(oldestMs) ? oldestMs : undefined);
  }

  /** Puts the detail of a block back, read again from the log. */
  restore({ origin, last }: MissingDetail, operations: readonly CountedOperation[]): void {
    const block = this.#blocks.get(origin)?.find((candidate) => lastOf(candidate) === last);
    if (block === undefined || operations.length !== block.count) return;
    const detail = emptyDetail();
    for (const [at, operation] of operations.entries()) {
      writeDetail(detail, at, this.#numberOf(operation.bucket), operation);
    }
    this.#keepDetail(block, detail);
  }

  #begin(operation: CountedOperation): Block {
    const { seq: first, hlcMs: oldestMs } = operation;
    const block: Block = { first, count: 0, oldestMs, sums: new Map(), detail: undefined };
    this.#keepDetail(block, emptyDetail());
    return block;
  }

  #keepDetail(block: Block, detail: Detail): void {
    block.detail = detail;
    this.#detailed.push(block);
    // A vector may fall within one block of every origin, and its question needs all of these at
    // once.
    if (this.#detailed.length <= Math.max(this.#detailedMax, this.#blocks.size)) return;
    const oldest = this.#detailed.shift();
    if (oldest !== undefined) oldest.detail = undefined;
  }

  #numberOf(bucket: string | undefined): number {
    if (bucket === undefined) return NO_BUCKET;
    const known = this.#numbers.get(bucket);
    if (known !== undefined) return known;
    this.#names.push(bucket);
    const number = this.#names.length - 1;
    this.#numbers.set(bucket, number);
    return number;
  }

  #lagOf(sums: ReadonlyMap<number, Tally>, oldestMs: number | undefined): Lag {
    const buckets = new Map<string, Tally>();
    const all = { operations: 0, bytes: 0 };
    for (const [number, sum] of sums) {
      all.operations += sum.operations;
      all.bytes += sum.bytes;
      if (number !== NO_BUCKET) buckets.set(this.#names[number] ?? "", sum);
    }
    return { ...all, oldestMs, buckets };
  }
}

function lastOf({ first, count }: Pick<Block, "first" | "count">): number {
  return first + count - 1;
}

function emptyDetail(): Detail {
  return {
    buckets: new Uint32Array(BLOCK_OPERATIONS),
    bytes: new Float64Array(BLOCK_OPERATIONS),
    hlcMs: new Float64Array(BLOCK_OPERATIONS),
  };
}

function writeDetail(detail: Detail, at: number, bucket: number, one: CountedOperation): void {
  detail.buckets[at] = bucket;
  detail.bytes[at] = one.bytes;
  detail.hlcMs[at] = one.hlcMs;
}

function addBlock(sums: Map<number, MutableTally>, block: Block, from: number, to: number): void {
  if (from === 0 && to === block.count) {
    for (const [bucket, { operations, bytes }] of block.sums) {
      addTo(sums, bucket, operations, bytes);
    }
    return;
  }
  for (let at = from; at < to; at++) {
    addTo(sums, block.detail?.buckets[at] ?? NO_BUCKET, 1, block.detail?.bytes[at] ?? 0);
  }
}

function addTo(
  sums: Map<number, MutableTally>,
  bucket: number,
  operations: number,
  bytes: number,
): void {
  const sum = sums.get(bucket);
  if (sum === undefined) {
    sums.set(bucket, { operations, bytes });
    return;
  }
  sum.operations += operations;
  sum.bytes += bytes;
}

function missing(origin: OriginId, block: Block): MissingDetail {
  const after = parseSeq(block.first - 1);
  if (after === undefined) throw new RangeError("a block begins at a position");
  return { origin, after, last: lastOf(block) };
}
