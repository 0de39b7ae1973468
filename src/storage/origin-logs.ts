import { effectiveVector } from "../core/causality.ts";
import type { Hlc } from "../core/hlc.ts";
import { type OriginId, parseOriginId } from "../core/names.ts";
import type { OriginState } from "../core/origin-records.ts";
import type { Dot, Operation, Vector, WriteStamp } from "../core/records.ts";
import { dotOfKey } from "./metadata/apply-origins.ts";
import type { KeyName } from "./metadata/key-versions.ts";
import { BOOTSTRAP_KEY } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { IndexView } from "./metadata/view.ts";
import { ParkedSlots } from "./parked-slots.ts";

const NOTHING: Vector = new Map();

function readSlots(view: RowReader): ParkedSlots {
  const slots = new ParkedSlots();
  for (const { key, row } of view.rows(TABLES.parked, "", "~")) {
    const dot = dotOfKey(key);
    if (dot !== undefined && row.slot !== undefined) slots.add({ hlc: row.hlc, ...dot }, row.slot);
  }
  return slots;
}

/**
 * How far the logs of other origins are here, batches in line included. Commit and replay update it
 * with the records that they add or meet, so that both write the same rows.
 */
export class OriginLogs {
  readonly #states = new Map<OriginId, OriginState>();
  readonly #parked = new Map<OriginId, Set<number>>();
  /** Parked writes of null slots, loaded when they are first needed. */
  #slots: ParkedSlots | undefined;
  readonly #changed = new Set<OriginId>();
  #received: Vector | undefined = NOTHING;
  #takesOver: boolean | undefined;

  /** Loads what the index knows. */
  static load(rows: RowReader): OriginLogs {
    const logs = new OriginLogs();
    for (const { key, row } of rows.rows(TABLES.originHead, "", "~")) {
      const origin = parseOriginId(key);
      if (origin !== undefined) logs.#states.set(origin, { origin, ...row });
    }
    for (const { key } of rows.rows(TABLES.parked, "", "~")) {
      const dot = dotOfKey(key);
      if (dot !== undefined) logs.park(dot);
    }
    logs.#received = undefined;
    return logs;
  }

  /** Whether no other origin was ever heard of. */
  get isEmpty(): boolean {
    return this.#states.size === 0;
  }

  /**
   * Whether rows of other origins may be here, because their logs are, or because an unfinished
   * bootstrap has brought some. The index is asked once.
   */
  hasRowsOfOthers(view: IndexView): boolean {
    this.#takesOver ??= view.get(TABLES.bootstrap, BOOTSTRAP_KEY) !== undefined;
    return this.#takesOver || !this.isEmpty;
  }

  /** Notes that a bootstrap brings rows of other origins. */
  takeOver(): void {
    this.#takesOver = true;
  }

  state(origin: OriginId): OriginState | undefined {
    return this.#states.get(origin);
  }

  /** The states of all logs, by origin. */
  states(): OriginState[] {
    return [...this.#states.values()].sort((left, right) => (left.origin < right.origin ? -1 : 1));
  }

  /**
   * How far each of them is here; the same map until one has moved. That is what operations of this
   * site have seen: changes which may be made beside each other (of buckets and their settings,
   * deletes of versions, locks) are never parked, so that all of them up to here have been applied.
   */
  get received(): Vector {
    this.#received ??= new Map(
      Array.from(this.#states.values(), ({ origin, seq }) => [origin, seq]),
    );
    return this.#received;
  }

  /** What an operation's origin had received of others when it issued it. */
  vectorOf({ dot, vector }: Operation): Vector {
    return effectiveVector(this.#states.get(dot.origin)?.vector ?? NOTHING, vector);
  }

  /**
   * Notes that the next operation of its origin is in the log; returns what it had received of
   * others.
   */
  advance(operation: Operation, chain: Uint8Array): Vector {
    const { origin, seq } = operation.dot;
    const vector = this.vectorOf(operation);
    this.#set({ origin, seq, hlc: operation.hlc, chain, vector });
    return vector;
  }

  /**
   * Lets logs go on behind what came by other means; one that is further already stays as it is.
   */
  startAt(states: readonly OriginState[]): void {
    for (const state of states) {
      if ((this.#states.get(state.origin)?.seq ?? 0) < state.seq) this.#set(state);
    }
  }

  /**
   * Notes a parked operation. `slot` is the null slot that it writes; replays, which judge nothing,
   * leave it out.
   */
  park(
    { origin, seq }: Dot,
    write?: { readonly hlc: Hlc; readonly slot: KeyName | undefined },
  ): void {
    const parked = this.#parked.get(origin);
    if (parked === undefined) this.#parked.set(origin, new Set([seq]));
    else parked.add(seq);
    if (write === undefined) this.#slots = undefined;
    else if (write.slot !== undefined)
      this.#slots?.add({ origin, seq, hlc: write.hlc }, write.slot);
  }

  /** Parked writes of a null slot that precede an operation in its log. */
  parkedBefore(view: IndexView, dot: Dot, name: KeyName): readonly WriteStamp[] {
    if (!this.#parked.has(dot.origin)) return [];
    this.#slots ??= readSlots(view);
    return this.#slots.before(dot, name);
  }

  unpark({ origin, seq }: Dot): void {
    this.#slots?.remove({ origin, seq });
    const parked = this.#parked.get(origin);
    parked?.delete(seq);
    if (parked?.size === 0) this.#parked.delete(origin);
  }

  /** How many operations are parked. */
  get parkedCount(): number {
    let count = 0;
    for (const { size } of this.#parked.values()) count += size;
    return count;
  }

  isParked({ origin, seq }: Dot): boolean {
    return this.#parked.get(origin)?.has(seq) === true;
  }

  /** Whether an operation has been applied here, or never will be. */
  isApplied(dot: Dot): boolean {
    return (this.#states.get(dot.origin)?.seq ?? 0) >= dot.seq && !this.isParked(dot);
  }

  /**
   * Whether the write of an origin at a clock reading has been applied here, or never will be.
   *
   * @param view names the operations that are parked.
   */
  hasArrived(view: IndexView, { hlc, origin }: Pick<OriginState, "hlc" | "origin">): boolean {
    const state = this.#states.get(origin);
    if (state === undefined || state.hlc < hlc) return false;
    if (!this.#parked.has(origin)) return true;
    // Other parked operations do not matter: waiting for them would let this one wait for ever.
    const parked = view.rows(TABLES.parked, origin, `${origin}~`);
    return !parked.some(({ row }) => row.hlc === hlc);
  }

  /** Puts the rows of logs that have moved since the last call. */
  putRows(view: IndexView): void {
    if (this.#changed.size === 0) return;
    for (const origin of this.#changed) {
      const state = this.#states.get(origin);
      if (state === undefined) continue;
      const { seq, chain, hlc, vector } = state;
      view.put(TABLES.originHead, origin, { seq, chain, hlc, vector });
    }
    this.#changed.clear();
  }

  #set(state: OriginState): void {
    this.#states.set(state.origin, state);
    this.#changed.add(state.origin);
    this.#received = undefined;
  }
}
