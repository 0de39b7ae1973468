import { compareBytes, toHex } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { hlcMs } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import type { SiteId } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { ManifestRef, Operation, Vector } from "../core/records.ts";
import { compareUtf8 } from "../core/utf8-order.ts";
import type { Clock } from "../ports/clock.ts";
import type { Hash } from "../ports/hash.ts";
import type {
  Damage,
  IncomingRow,
  LogicalRows,
  RepairSource,
  RowRange,
} from "../storage/logical-rows.ts";
import { positionOfRow } from "../storage/row-operations.ts";
import type { StoredObject } from "../storage/store.ts";
import type { FetchedBody } from "./body-fetch.ts";
import type { RowCalls } from "./row-calls.ts";
import {
  covers,
  diffRows,
  type ListedPair,
  lastingDifferences,
  type RowDifference,
} from "./row-diff.ts";
import { hashRange, listRange } from "./row-hashes.ts";

export type VerifyDeps = {
  readonly rows: LogicalRows;
  readonly hash: Hash;
  readonly clock: Clock;
  /** What has been applied here without exception. */
  readonly applied: () => Vector;
  /** Gets what is not here of the chunks of a large body. */
  readonly fetch: (
    refs: readonly ManifestRef[],
    source: SiteId,
    signal: AbortSignal,
  ) => Promise<FetchedBody>;
  /** Each site drops marks of removals by itself once they are older than this; a week. */
  readonly marksKeptMs?: number;
  /** Fetches the right bytes for damaged ones, from any site that has them. */
  readonly rightBytes: RepairSource;
};

export type VerifyWish = {
  /** What is compared in this step, or its beginning. */
  readonly range: RowRange;
  readonly repair: boolean;
  /** Reads every byte of every body here, and hashes it anew. */
  readonly deep: boolean;
};

export type FoundDifference = {
  readonly position: string;
  /**
   * `unsettled`: one of the sites has not caught up with the other, so nobody can tell yet.
   * `damaged`: the row is here, and its bytes are not right. `remote`: its bucket shows rows first,
   * and its bytes stand at other sites only, which is no difference.
   */
  readonly kind: RowDifference["kind"] | "unsettled" | "damaged" | "remote";
  readonly repaired: boolean;
};

export type VerifyStep = {
  readonly differences: readonly FoundDifference[];
  /** Rows of this site that were compared. */
  readonly rows: number;
  /** Where the next step begins; undefined when the range is done. */
  readonly next: string | undefined;
};

/** A range that differs is cut into this many. */
const FAN_OUT = 16;
/** How long two sites may take to catch up with each other before a difference is called one. */
const CATCH_UP_MS = 10_000;
const CATCH_UP_LOOK_MS = 100;
/** Bytes that one step reads of bodies, about, and rows that are looked at in one turn for it. */
const CHECKED_BYTES = 128 * 1024 * 1024;
const CHECKED_PER_TURN = 200;
/** What one step tells of bodies at most, about; a million may stand at other sites only. */
const TOLD_MAX = 1000;

/**
 * Compares a range of this site's rows with those of a peer: first hashes of ranges, then parts of
 * those that differ, so that the number of requests follows the differences and not the rows. Both
 * sites go on working meanwhile, so a difference counts only if it is still there once each side
 * has applied what the other one had. A row that this site lacks then was lost here: had it been
 * removed, the peer would know.
 */
export class Verifier {
  readonly #deps: VerifyDeps;
  readonly #peer: RowCalls;
  readonly #signal: AbortSignal;

  constructor(deps: VerifyDeps, peer: RowCalls, signal: AbortSignal) {
    this.#deps = deps;
    this.#peer = peer;
    this.#signal = signal;
  }

  /** One bounded step; the range's rest is for the next. */
  async step({ range: wanted, repair, deep }: VerifyWish): Promise<VerifyStep> {
    const checked = deep ? await this.#checkBodies(wanted, repair) : undefined;
    const range = { from: wanted.from, to: checked?.next ?? wanted.to };
    const [there] = await this.#peer.ranges([range], LIMITS.rowsHashedMax, this.#signal);
    const next = there?.next ?? checked?.next;
    const compared = { from: range.from, to: there?.next ?? range.to };
    const here = await hashRange(this.#deps, compared, Number.MAX_SAFE_INTEGER);
    const differences: FoundDifference[] = [];
    if (there !== undefined && compareBytes(here.hash, there.hash) !== 0) {
      const both = { range: compared, here: here.count, there: there.count };
      for await (const leaf of this.#leaves(both)) {
        differences.push(...(await this.#compare(leaf, repair)));
      }
    }
    // The next step looks again at what is behind this one, and reports what is wrong there.
    const damaged = (checked?.differences ?? []).filter(
      ({ position, repaired }) => repaired || next === undefined || compareUtf8(position, next) < 0,
    );
    return { differences: [...damaged, ...differences], rows: here.count, next };
  }

  /**
   * Reads bodies, and repairs damaged ones, until enough bytes have been read or fetched, or there
   * is enough to report.
   */
  async #checkBodies(
    { from, to }: RowRange,
    repair: boolean,
  ): Promise<{ readonly differences: FoundDifference[]; readonly next: string | undefined }> {
    const { rows, clock } = this.#deps;
    const differences: FoundDifference[] = [];
    let bytes = 0;
    for (let at: string | undefined = from; at !== undefined; ) {
      const step = rows.read({ from: at, to }, CHECKED_PER_TURN);
      for (const { position, stored } of step.rows) {
        if (stored === undefined) continue;
        this.#signal.throwIfAborted();
        if (bytes > CHECKED_BYTES || differences.length >= TOLD_MAX) {
          return { differences, next: position };
        }
        if (rows.remote.isRemote(stored)) {
          if (repair) bytes += stored.record.size;
          const repaired = repair && (await this.#bring(stored));
          differences.push({ position, kind: "remote", repaired });
          continue;
        }
        bytes += stored.record.size;
        for (const damage of await rows.check(stored)) {
          if (!this.#stillStands(position, stored)) continue;
          const repaired = repair && (await this.#mend(damage));
          differences.push({ position, kind: "damaged", repaired });
        }
      }
      at = step.next;
      await clock.sleep(0);
    }
    return { differences, next: undefined };
  }

  /** Whether it is still there that damaged bytes were read, and nobody has removed or moved it. */
  #stillStands(position: string, { place }: StoredObject): boolean {
    const [row] = this.#deps.rows.read({ from: position, to: `${position}\0` }, 1).rows;
    const now = row?.stored?.place;
    return now?.segment === place.segment && now.offset === place.offset;
  }

  async #bring(stored: StoredObject): Promise<boolean> {
    try {
      await this.#deps.rows.remote.bring(stored);
      return true;
    } catch (failure) {
      if (!(failure instanceof StorageFault)) throw failure;
      return false;
    }
  }

  async #mend(damage: Damage): Promise<boolean> {
    const bytes = await this.#deps.rightBytes(damage);
    return bytes !== undefined && (await this.#deps.rows.mend(damage, bytes));
  }

  /** Short ranges that differ, in order. */
  async *#leaves(differing: Differing): AsyncGenerator<RowRange> {
    const { range } = differing;
    const short = Math.max(differing.here, differing.there) <= LIMITS.rowsListedMax;
    if (short || differing.here < FAN_OUT) {
      yield range;
      return;
    }
    const parts = await this.#split(range, differing.here);
    const ranges = parts.map((part) => part.range);
    const there = await this.#peer.ranges(ranges, LIMITS.rowsHashedMax, this.#signal);
    for (const [index, part] of parts.entries()) {
      const other = there[index];
      if (other === undefined || compareBytes(other.hash, part.hash) === 0) continue;
      // A range that has too many rows there to be hashed at once is looked at in pieces as well.
      const count = other.next === undefined ? other.count : LIMITS.rowsHashedMax + 1;
      yield* this.#leaves({ range: part.range, here: part.count, there: count });
    }
  }

  /** Cuts a range where this site has as many rows on each side, and hashes each piece. */
  async #split(
    { from, to }: RowRange,
    count: number,
  ): Promise<Array<{ range: RowRange; hash: Buffer; count: number }>> {
    const rowsEach = Math.ceil(count / FAN_OUT);
    const parts: Array<{ range: RowRange; hash: Buffer; count: number }> = [];
    for (let at: string | undefined = from; at !== undefined; ) {
      const last = parts.length === FAN_OUT - 1;
      const most: number = last ? Number.MAX_SAFE_INTEGER : rowsEach;
      const part = await hashRange(this.#deps, { from: at, to }, most);
      parts.push({ range: { from: at, to: part.next ?? to }, ...part });
      at = part.next;
    }
    return parts;
  }

  /** Tells what differs in a short range, and mends what can be mended here. */
  async #compare(range: RowRange, repair: boolean): Promise<FoundDifference[]> {
    const before = await this.#list(range);
    const suspected = diffRows(before.here, before.there);
    if (suspected.length === 0) return [];
    if (!(await this.#catchUp(before.applied))) {
      return suspected.map(({ position }) => ({ position, kind: "unsettled", repaired: false }));
    }
    const after = await this.#list(range);
    const lasting = lastingDifferences(before, after);
    const found = await this.#withoutOldMarks(range, lasting);
    if (!repair || found.length === 0) {
      return found.map((difference) => ({ ...difference, repaired: false }));
    }
    await this.#takeOver(range, found);
    const left = await this.#list(range);
    const still = new Set(diffRows(left.here, left.there).map(({ position }) => position));
    return found.map((difference) => {
      return { ...difference, repaired: !still.has(difference.position) };
    });
  }

  /** Both sides of a range, and what each had applied when it was read. */
  async #list(range: RowRange): Promise<ListedPair & { readonly applied: Both }> {
    const there = new Map<string, string>();
    let applied: Vector = new Map();
    for (let from: string | undefined = range.from; from !== undefined; ) {
      const page = await this.#peer.list({ from, to: range.to }, this.#signal);
      for (const [position, hash] of page.rows) there.set(position, toHex(hash));
      applied = page.applied;
      from = page.next;
    }
    const here = new Map<string, string>();
    for (let from: string | undefined = range.from; from !== undefined; ) {
      const page = listRange(this.#deps, { from, to: range.to }, LIMITS.rowsListedMax);
      for (const [{ position }, hash] of page.rows) here.set(position, toHex(hash));
      from = page.next;
      if (from !== undefined) await this.#deps.clock.sleep(0);
    }
    return { here, there, applied: { here: this.#deps.applied(), there: applied } };
  }

  /** Waits until each side has applied what the other one had; false when that takes too long. */
  async #catchUp({ here, there }: Both): Promise<boolean> {
    const { clock, applied } = this.#deps;
    const until = clock.monotonicMs() + CATCH_UP_MS;
    for (;;) {
      const nothing = { from: "", to: "" };
      if (covers(applied(), there)) {
        const answer = await this.#peer.list(nothing, this.#signal);
        if (covers(answer.applied, here)) return true;
      }
      if (clock.monotonicMs() >= until) return false;
      await clock.sleep(CATCH_UP_LOOK_MS, this.#signal);
    }
  }

  /** Tombstones and marks that one side has dropped already are no difference. */
  async #withoutOldMarks(range: RowRange, lasting: RowDifference[]): Promise<RowDifference[]> {
    const { clock, marksKeptMs = LIMITS.historyRetentionMs } = this.#deps;
    const before = clock.nowMs() - marksKeptMs;
    const marks = lasting.filter(({ position, kind }) => kind !== "differs" && isMark(position));
    if (marks.length === 0) return lasting;
    const old = new Set<string>();
    const there = marks.filter(({ kind }) => kind === "missing-here");
    for (const { operation, position } of await this.#askFor(range, there, false)) {
      if (hlcMs(operation.hlc) < before) old.add(position);
    }
    for (const { position, kind } of marks) {
      if (kind !== "missing-there") continue;
      const [row] = this.#deps.rows.read({ from: position, to: `${position}\0` }, 1).rows;
      if (row !== undefined && hlcMs(row.operation.hlc) < before) old.add(position);
    }
    return lasting.filter(({ position }) => !old.has(position));
  }

  async #takeOver(range: RowRange, found: readonly RowDifference[]): Promise<void> {
    const wanted = found.filter(({ kind }) => kind !== "missing-there");
    const asked = await this.#askFor(range, wanted, true);
    const rows: IncomingRow[] = [];
    try {
      for (const { operation, encoded, inline } of asked) {
        const { body } = operation;
        const large = body.kind === "object-put" ? body.object.body : undefined;
        const refs = large?.kind === "manifests" ? large.manifests : [];
        const bodies = await this.#deps.fetch(refs, this.#peer.peer.id, this.#signal);
        if (bodies.outcome === "whole") rows.push({ encoded, inline, manifests: bodies.manifests });
      }
      const step = { rows, removed: [], progress: undefined, rewrite: false };
      if (rows.length > 0) await this.#deps.rows.import(step);
    } catch (failure) {
      for (const { staged } of rows.flatMap((row) => row.manifests)) staged?.discard();
      throw failure;
    }
  }

  /** Fetches rows of the peer by position; those that disappeared meanwhile are left out. */
  async #askFor(
    range: RowRange,
    wanted: readonly RowDifference[],
    bodies: boolean,
  ): Promise<ReadonlyArray<AskedRow>> {
    const rows: AskedRow[] = [];
    for (let at = 0; at < wanted.length; at += LIMITS.rowsAskedMax) {
      const positions = wanted.slice(at, at + LIMITS.rowsAskedMax).map(({ position }) => position);
      for (let from: string | undefined = positions[0]; from !== undefined; ) {
        const page = await this.#peer.rows(
          { range: { from, to: range.to }, positions, bodies, bytesMax: ASKED_BYTES },
          this.#signal,
        );
        for (const entry of page.entries) {
          const operation = decodeOperation(entry.encoded);
          const position = positionOfRow(operation);
          if (position !== undefined) rows.push({ ...entry, operation, position });
        }
        from = page.next;
      }
    }
    return rows;
  }
}

type Differing = { readonly range: RowRange; readonly here: number; readonly there: number };
type Both = { readonly here: Vector; readonly there: Vector };
type AskedRow = {
  readonly operation: Operation;
  readonly position: string;
  readonly encoded: Uint8Array;
  readonly inline: Uint8Array | undefined;
};

const ASKED_BYTES = LIMITS.replicationPageBytes;

/** A tombstone, or the mark of a version that was removed. */
function isMark(position: string): boolean {
  return /^D[^\0]*\0[^\0]*\0[0-9a-f]{32}(t|x[0-9a-f]{32})$/.test(position);
}
