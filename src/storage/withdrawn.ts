import { StorageFault } from "../core/faults.ts";
import type { OriginId, Seq, VersionId } from "../core/names.ts";
import type { OriginState } from "../core/origin-records.ts";
import type { Dot, LocalRecord, OperationBody } from "../core/records.ts";
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
          return !this.covers(write, segment) && (verdict === "ended" || !isCaused);
        });
        return verdicts.length === 0 ? undefined : { ...record, verdicts };
      }
      case "deletes-judged": {
        if (record.what !== "ended" && isAbout(record, cause)) return undefined;
        if (this.#coversVersion(record.version, segment)) return undefined;
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

  /** What has been withdrawn in all, once the log has been replayed. */
  settled(through: number): readonly Withdrawn[] {
    const met = this.#wanted.filter(({ origin }) => this.#found.has(origin));
    const added = met.map((one) => ({ ...one, through, before: this.#found.get(one.origin) }));
    return [...this.#known, ...added];
  }

  #entryOf(origin: OriginId, segment: number): WithdrawnFrom | Withdrawn | undefined {
    const known = this.#known.find((one) => one.origin === origin && segment <= one.through);
    return known ?? this.#wanted.find((one) => one.origin === origin);
  }

  /** A version is named by the clock reading of its write, which grows along a log. */
  #coversVersion(version: VersionId, segment: number): boolean {
    const { hlc, origin } = writeIdOf(version);
    const entry = this.#entryOf(origin, segment);
    if (entry === undefined) return false;
    // The replay has met none of them yet: then nothing is said of them either.
    if (!("before" in entry) && !this.#found.has(origin)) return false;
    const before = this.before(origin, segment, undefined);
    return before === undefined || hlc > before.hlc;
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
