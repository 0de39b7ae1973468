import { effectiveVector } from "../core/causality.ts";
import { StorageFault } from "../core/faults.ts";
import { type Hlc, parseHlc } from "../core/hlc.ts";
import { type OriginId, parseSeq, type Seq } from "../core/names.ts";
import { OPERATION_LAYOUT as AT, chainAfter, encodeVectorField } from "../core/operation-codec.ts";
import type { OriginState } from "../core/origin-records.ts";
import type { Dot, LocalRecord, Operation, Vector } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { ForeignRun, LogHead } from "./batch.ts";
import type { ChainChecks, PendingDigest } from "./chain-checks.ts";
import { logRunKeyOf } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import type { IndexView } from "./metadata/view.ts";
import type { OriginLogs } from "./origin-logs.ts";
import type { Withdrawals } from "./withdrawn.ts";

const NO_CHAIN = new Uint8Array(32);
const CHAIN_BYTES = 32;

/** The log that the previous operation belongs to, while operations keep following it. */
type LastLog = {
  readonly origin: OriginId;
  readonly vector: Vector;
  /** The vector as operations encode it, once it was needed. */
  seen: Buffer | undefined;
  /**
   * The first eight bytes of the origin, as operations have them. Here as everywhere in this type,
   * 64 bits are two signed halves.
   */
  readonly low: number;
  readonly high: number;
  /** From here on each operation is looked at: it may not count. */
  readonly until: number;
  seq: Seq;
  hlcLow: number;
  hlcHigh: number;
  /** Digest of the last operation, when it was computed here. */
  chain: Uint8Array | undefined;
  pending: PendingDigest | undefined;
  /** The run of its operations in the current batch. */
  run: ForeignRun | undefined;
};

/**
 * Follows the logs of all origins through a replay: sequence, hash chain, clock reading and vector.
 * An operation that continues the log of the operation before it is followed without decoding it,
 * and its digest is computed later, together with others.
 *
 * Invariant: what `#last` knows is newer than the state of that log in `head` or `origins`, until
 * `settle` has copied it there.
 */
export class ReplayLogs {
  readonly origins: OriginLogs;
  readonly #own: OriginId;
  readonly #hash: Hash;
  readonly #checks: ChainChecks;
  readonly #withdrawals: Withdrawals;
  #head: LogHead;
  /**
   * Whether a dropped segment may lie between two batches: then the chains cannot be followed
   * across it.
   */
  #gap: boolean;
  /** The logs that have been taken up again behind such a gap. */
  readonly #takenUp = new Set<OriginId>();
  /** The operations of the current batch, by origin. */
  #runs = new Map<OriginId, ForeignRun>();
  #last: LastLog | undefined;
  /** Greatest clock reading of operations that were not decoded, since the last `settle`. */
  #greatestLow = 0;
  #greatestHigh = 0;

  constructor(deps: {
    readonly origin: OriginId;
    readonly hash: Hash;
    readonly checks: ChainChecks;
    readonly head: LogHead;
    readonly origins: OriginLogs;
    readonly withdrawals: Withdrawals;
    readonly gap: boolean;
  }) {
    this.#own = deps.origin;
    this.#withdrawals = deps.withdrawals;
    this.#hash = deps.hash;
    this.#checks = deps.checks;
    this.#head = deps.head;
    this.origins = deps.origins;
    this.#gap = deps.gap;
  }

  get head(): LogHead {
    this.settle();
    return this.#head;
  }

  beginBatch(): void {
    if (this.#runs.size > 0) this.#runs = new Map();
    if (this.#last !== undefined) this.#last.run = undefined;
  }

  /** Puts the rows that say which operations the batch holds. */
  putRuns(view: IndexView, place: { readonly segment: number; readonly offset: number }): void {
    for (const [origin, { firstSeq, count }] of this.#runs) {
      view.put(TABLES.logRun, logRunKeyOf(origin, firstSeq), { ...place, count });
    }
  }

  openGap(): void {
    this.#leaveLast();
    this.#gap = true;
    this.#takenUp.clear();
  }

  /** Takes note of what a record in this segment says of logs. */
  hear(record: LocalRecord, segment: number): void {
    if (record.kind === "floors") {
      this.#leaveLast();
      this.origins.startAt(record.heads);
    }
    if (record.kind === "origin-heads") this.#takeUp(record.heads, segment);
  }

  /** Passes over an operation that does not count: its log stays where it was before it. */
  passOver({ origin }: Dot, segment: number): void {
    this.#leaveLast();
    const before = this.#withdrawals.before(origin, segment, this.#stateOf(origin));
    if (before !== undefined) this.#startAt(before);
  }

  /** Another origin's reading counts too: time goes on behind it. */
  observe(hlc: Hlc): void {
    if (hlc > this.#head.hlc) this.#head = { ...this.#head, hlc };
  }

  /**
   * Follows a log; across a dropped segment it is taken up again. Gives the vector.
   *
   * @throws StorageFault "corrupt" when the operation does not follow the one before.
   */
  follow(operation: Operation, bytes: Uint8Array): Vector {
    this.#leaveLast();
    const { dot, hlc, chainBefore } = operation;
    const own = dot.origin === this.#own;
    const before = own ? this.#head : this.origins.state(dot.origin);
    const follows = dot.seq === (before?.seq ?? 0) + 1;
    const chained = Buffer.compare(chainBefore, before?.chain ?? NO_CHAIN) === 0;
    const mayBeAnywhere = this.#gap && !this.#takenUp.has(dot.origin);
    if (!mayBeAnywhere && !(follows && chained)) {
      throw new StorageFault("corrupt", `operation ${dot.seq} does not follow the one before`);
    }
    this.#takenUp.add(dot.origin);
    const run = this.#countOne(dot);
    const sha256 = (input: Uint8Array) => this.#hash.digest("SHA256", input);
    const chain = chainAfter(sha256, chainBefore, bytes);
    const vector = own
      ? effectiveVector(this.#head.vector, operation.vector)
      : this.origins.advance(operation, chain);
    if (own) this.#head = { seq: dot.seq, chain, hlc: this.#head.hlc, ownHlc: hlc, vector };
    this.#goOnFrom(operation, { bytes, vector, chain, run });
    return vector;
  }

  /** The field that says once more what the origin of the operation before had received. */
  get seen(): Buffer | undefined {
    const last = this.#last;
    if (last !== undefined) last.seen ??= encodeVectorField(last.vector);
    return last?.seen;
  }

  /**
   * Follows an operation, from `from` up to `to`, that has seen no more than the last one and goes
   * on with its log. False, and nothing is changed, when it does not go on, or is too large.
   */
  next(bytes: Buffer, from: number, to: number): boolean {
    const last = this.#last;
    if (last === undefined) return false;
    if (bytes.readInt32LE(from) !== last.low) return false;
    if (bytes.readInt32LE(from + 4) !== last.high) return false;
    if (bytes.readUInt32LE(from + AT.seq) !== (last.seq + 1) % 0x1_0000_0000) return false;
    const seq = parseSeq(last.seq + 1);
    if (seq === undefined || seq >= last.until) return false;
    if (bytes.readUInt32LE(from + AT.seq + 4) !== Math.floor(seq / 0x1_0000_0000)) return false;
    const chainAt = from + AT.chain;
    const { chain } = last;
    if (chain !== undefined) {
      if (bytes.compare(chain, 0, CHAIN_BYTES, chainAt, chainAt + CHAIN_BYTES) !== 0) return false;
    }
    if (!this.#checks.takes(to - from)) return false;
    last.pending = this.#checks.add(bytes, { from, to, chainAt }, last.pending);
    last.chain = undefined;
    last.seq = seq;
    if (last.run === undefined) last.run = this.#countOne(last);
    else last.run.count += 1;
    last.hlcLow = bytes.readInt32LE(from + AT.hlc);
    last.hlcHigh = bytes.readInt32LE(from + AT.hlc + 4);
    const later =
      last.hlcHigh === this.#greatestHigh
        ? last.hlcLow >>> 0 > this.#greatestLow >>> 0
        : last.hlcHigh >>> 0 > this.#greatestHigh >>> 0;
    if (later) {
      this.#greatestHigh = last.hlcHigh;
      this.#greatestLow = last.hlcLow;
    }
    return true;
  }

  /** Brings what `next` has followed into the states of the logs. */
  settle(): void {
    const last = this.#last;
    if (last?.pending === undefined) return;
    const hlc = hlcOf(last.hlcHigh, last.hlcLow);
    const greatest = hlcOf(this.#greatestHigh, this.#greatestLow);
    this.#greatestHigh = 0;
    this.#greatestLow = 0;
    if (hlc === undefined || greatest === undefined) return;
    this.observe(greatest);
    const { origin, seq, vector } = last;
    const chain = this.#checks.digestOf(last.pending);
    last.chain = chain;
    last.pending = undefined;
    if (origin === this.#own) {
      this.#head = { seq, chain, hlc: this.#head.hlc, ownHlc: hlc, vector };
    } else {
      this.origins.startAt([{ origin, seq, hlc, chain, vector }]);
    }
  }

  /** As `settle`; and nothing is known to go on with the log of the operation before. */
  #leaveLast(): void {
    this.settle();
    this.#last = undefined;
  }

  #countOne({ origin, seq }: Dot): ForeignRun {
    const known = this.#runs.get(origin);
    if (known !== undefined) {
      known.count += 1;
      return known;
    }
    const run = { firstSeq: seq, count: 1 };
    this.#runs.set(origin, run);
    return run;
  }

  #goOnFrom(
    { dot }: Operation,
    { bytes, ...log }: Pick<LastLog, "vector" | "chain" | "run"> & { readonly bytes: Uint8Array },
  ): void {
    const view = bytes as Buffer;
    this.#last = {
      ...log,
      seen: undefined,
      origin: dot.origin,
      low: view.readInt32LE(0),
      high: view.readInt32LE(4),
      until: this.#withdrawals.firstOf(dot.origin),
      seq: dot.seq,
      hlcLow: 0,
      hlcHigh: 0,
      pending: undefined,
    };
  }

  /** At the beginning of a segment all logs are named; from here on they can be followed. */
  #takeUp(heads: readonly OriginState[], segment: number): void {
    this.#leaveLast();
    for (const said of heads) {
      const head = this.#withdrawals.left(said, segment, this.#stateOf(said.origin));
      if (head !== undefined) this.#startAt(head);
    }
    this.#gap = false;
  }

  #startAt(head: OriginState): void {
    if (head.origin !== this.#own) {
      this.origins.startAt([head]);
    } else if (head.seq > this.#head.seq) {
      const { seq, chain, vector } = head;
      this.#head = { seq, chain, vector, ownHlc: head.hlc, hlc: this.#head.hlc };
      this.observe(head.hlc);
    }
  }

  #stateOf(origin: OriginId): OriginState | undefined {
    if (origin !== this.#own) return this.origins.state(origin);
    const { seq, chain, ownHlc: hlc, vector } = this.#head;
    return seq === 0 ? undefined : { origin, seq, chain, hlc, vector };
  }
}

function hlcOf(high: number, low: number): Hlc | undefined {
  return parseHlc((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
}
