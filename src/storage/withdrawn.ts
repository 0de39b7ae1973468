import { StorageFault } from "../core/faults.ts";
import { makeVersionId, type OriginId, type Seq, type VersionId } from "../core/names.ts";
import type { OriginState } from "../core/origin-records.ts";
import type { Dot, LocalRecord, Operation, OperationBody, WriteStamp } from "../core/records.ts";
import { type KeyName, writeIdOf } from "./metadata/key-versions.ts";

/** From where on the log of one of this site's own origins does not count any more. */
export type WithdrawnFrom = { readonly origin: OriginId; readonly from: Seq };

/**
 * Operations of this site that no other site has and none will ever take. They stand in the log,
 * and every replay passes over them; a later incarnation has issued them again.
 */
export type Withdrawn = WithdrawnFrom & {
  /** Number of the last segment where they stand: what is behind it came from peers. */
  readonly through: number;
  /** The state of the origin's log before the first of them; undefined when nothing was. */
  readonly before: OriginState | undefined;
  /**
   * The chain behind the first of them (32 bytes): a log that goes this way is not taken back from
   * a peer that took it for the origin's own. Undefined where an older program withdrew them.
   */
  readonly first: Uint8Array | undefined;
};

/** What was before the operations to be withdrawn is in the log no more. */
export class CannotWithdraw extends StorageFault {
  constructor({ origin, from }: WithdrawnFrom) {
    const message = `operations from ${from} of ${origin} cannot be withdrawn`;
    super("corrupt", `${message}: what was before them has been dropped`);
  }
}

/** Tells what a replay passes over. */
export class Withdrawals {
  readonly #known: readonly Withdrawn[];
  /** What is being withdrawn just now: the log before it is noted when the replay gets there. */
  readonly #wanted: readonly WithdrawnFrom[];
  readonly #found = new Map<OriginId, OriginState | undefined>();
  /**
   * What the replay has passed over. Peers may have other operations under the same sequences, and
   * what is said of those counts, also before they have come.
   */
  readonly #passed = new Set<VersionId>();

  constructor(known: readonly Withdrawn[], wanted: readonly WithdrawnFrom[] = []) {
    this.#known = known;
    this.#wanted = wanted;
  }

  /** Whether operations are being withdrawn just now, and are to be issued again. */
  get isWithdrawing(): boolean {
    return this.#wanted.length > 0;
  }

  /** Whether any of them may stand in a segment. */
  mayStandIn(segment: number): boolean {
    return this.isWithdrawing || this.#known.some(({ through }) => segment <= through);
  }

  /** The first operation of an origin that may have to be passed over. */
  firstOf(origin: OriginId): number {
    let first = Number.POSITIVE_INFINITY;
    for (const one of this.#known) if (one.origin === origin) first = Math.min(first, one.from);
    for (const one of this.#wanted) if (one.origin === origin) first = Math.min(first, one.from);
    return first;
  }

  /** Whether an operation that stands in this segment, or is named there, does not count. */
  covers({ origin, seq }: Dot, segment: number): boolean {
    const entry = this.#entryOf(origin, segment);
    return entry !== undefined && seq >= entry.from;
  }

  /** Whether the replay has to pass over an operation; if so, takes note of it. */
  leavesOut({ dot, hlc, body }: Operation, segment: number): boolean {
    if (!this.covers(dot, segment)) return false;
    this.#passed.add(makeVersionId(hlc, dot.origin));
    if (body.kind === "object-delete" && body.standsAt !== undefined) {
      this.#passed.add(makeVersionId(body.standsAt, dot.origin));
    }
    return true;
  }

  /**
   * The write of this site that an operation of a peer names and that is not here, though one that
   * was passed over stood under its sequence: when the operation came in, it looked as if the write
   * were here, and nothing was noted for the time when it comes.
   */
  lostWrite({ body }: Operation, segment: number): WriteStamp | undefined {
    if (!this.standsAmong(segment)) return undefined;
    const isWrite = body.kind === "object-put" || body.kind === "object-delete";
    const named = isWrite ? body.prior : body.kind === "conflict-resolve" ? body.write : undefined;
    if (named === undefined || !this.covers(named, segment)) return undefined;
    return this.#isPassed(makeVersionId(named.hlc, named.origin), segment) ? undefined : named;
  }

  /** Whether what stands here in a segment may have come in behind what was passed over. */
  standsAmong(segment: number): boolean {
    return this.#passed.size > 0 && this.mayStandIn(segment);
  }

  /**
   * The state of a log as it is without what does not count; undefined when nothing is left of it.
   *
   * @param now how far the replay has followed that log.
   * @throws CannotWithdraw when the log before it has been dropped.
   */
  left(head: OriginState, segment: number, now: OriginState | undefined): OriginState | undefined {
    const entry = this.#entryOf(head.origin, segment);
    if (entry === undefined || head.seq < entry.from) return head;
    return this.before(head.origin, segment, now);
  }

  /** The state of a log before what does not count. As `left`. */
  before(origin: OriginId, segment: number, now: OriginState | undefined): OriginState | undefined {
    const entry = this.#entryOf(origin, segment);
    if (entry === undefined) return now;
    if ("before" in entry) return entry.before;
    if (!this.#found.has(origin)) this.#found.set(origin, whole(entry, now));
    return this.#found.get(origin);
  }

  /**
   * What a record says, without what it says of operations that do not count.
   *
   * @param cause the operation that it was written for, when that does not count: what it does to
   * others is judged anew when it is issued again.
   */
  without(
    record: LocalRecord,
    segment: number,
    cause: OperationBody | undefined,
  ): LocalRecord | undefined {
    switch (record.kind) {
      case "conflicts-judged": {
        const isCaused = isAbout(record, cause);
        const verdicts = record.verdicts.filter(({ verdict, write }) => {
          const isLost = this.#isPassed(makeVersionId(write.hlc, write.origin), segment);
          return !isLost && (verdict === "ended" || !isCaused);
        });
        return verdicts.length === 0 ? undefined : { ...record, verdicts };
      }
      case "deletes-judged": {
        if (record.what !== "ended" && isAbout(record, cause)) return undefined;
        if (this.#isPassed(record.version, segment)) return undefined;
        const deletes = record.deletes.filter((dot) => !this.covers(dot, segment));
        const isLost = record.what === "void" && deletes.length === 0;
        return isLost ? undefined : { ...record, deletes };
      }
      case "segments-dropped": {
        const trimPoints = record.trimPoints.flatMap((point) => {
          if (!this.covers(point, segment)) return [point];
          const before = this.before(point.origin, segment, undefined);
          return before === undefined ? [] : [{ ...point, seq: before.seq, chain: before.chain }];
        });
        return { ...record, trimPoints };
      }
      default:
        return record;
    }
  }

  /**
   * What has been withdrawn in all, once the log has been replayed.
   *
   * @param chains behind the first operation of each that is withdrawn just now, as far as known.
   */
  settled(through: number, chains: ReadonlyMap<OriginId, Uint8Array>): readonly Withdrawn[] {
    const met = this.#wanted.filter(({ origin }) => this.#found.has(origin));
    const added = met.map((one) => {
      const { origin } = one;
      return { ...one, through, before: this.#found.get(origin), first: chains.get(origin) };
    });
    return [...this.#known, ...added];
  }

  #isPassed(version: VersionId, segment: number): boolean {
    return (
      this.#passed.has(version) && this.#entryOf(writeIdOf(version).origin, segment) !== undefined
    );
  }

  #entryOf(origin: OriginId, segment: number): WithdrawnFrom | Withdrawn | undefined {
    const known = this.#known.find((one) => one.origin === origin && segment <= one.through);
    return known ?? this.#wanted.find((one) => one.origin === origin);
  }
}

/** Whether a record is about the key that an operation changes. */
function isAbout({ bucket, key }: KeyName, cause: OperationBody | undefined): boolean {
  return cause !== undefined && "key" in cause && cause.bucket === bucket && cause.key === key;
}

/** The state of a log that ends where operations are withdrawn. */
function whole(wanted: WithdrawnFrom, now: OriginState | undefined): OriginState | undefined {
  if ((now?.seq ?? 0) === wanted.from - 1) return now;
  throw new CannotWithdraw(wanted);
}
