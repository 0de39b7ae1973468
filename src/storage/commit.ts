import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Kv, KvMutation } from "../ports/kv.ts";
import { type BatchDeps, OpenBatch } from "./batch.ts";
import { layOutBatch } from "./batch-layout.ts";
import type { CommitLane } from "./commit-lane.ts";
import type { ApplyContext } from "./metadata/apply-context.ts";
import { logRunKeyOf, POSITION_KEY } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import type { BatchChanges, IndexView } from "./metadata/view.ts";
import type { Quantiles } from "./quantiles.ts";

/**
 * Judges a write against the index as it will be when everything in line before it has been
 * applied, and adds its records to the batch. Runs synchronously; what it returns becomes the
 * outcome. It must judge first and add afterwards, because a record cannot be taken out of a batch
 * again.
 */
export type Judge<Outcome> = (batch: OpenBatch) => Outcome;

type Waiter = { readonly resolve: () => void; readonly reject: (fault: StorageFault) => void };
type ClosedBatch = {
  /** Whether the batch adds operations to the log. */
  readonly moved: boolean;
  readonly changes: BatchChanges;
  readonly mutations: readonly KvMutation[];
  readonly waiters: readonly Waiter[];
};

type LaidOutBatch = {
  readonly batch: ClosedBatch;
  /** Undefined when there is nothing to write. */
  readonly buffer: Uint8Array | undefined;
  readonly bytes: number;
};

export type CommitterDeps = BatchDeps & {
  readonly kv: Kv;
  readonly lane: CommitLane;
  readonly view: IndexView;
  readonly context: ApplyContext;
  readonly time: Clock;
  readonly syncMs: Quantiles;
  readonly batchBytesMax: number;
  /** Told once when the log or the index fails: nothing can be promised any more. */
  readonly failStop: (fault: StorageFault) => void;
  /** Runs the callback after the requests that have arrived in this turn. */
  readonly defer: (callback: () => void) => void;
};

/**
 * Group commit. While one batch syncs, everything that arrives is the next batch; there is no
 * timer. This class is the only place where the order of these steps is decided.
 *
 * A failed append, sync or index commit ends the process: what is on disk is then unknown, and the
 * next start finds out by the same recovery as after a crash.
 */
export class Committer {
  readonly #deps: CommitterDeps;
  readonly #queue: Array<() => void> = [];
  readonly #listeners = new Set<() => void>();
  #queuedBytes = 0;
  #open: OpenBatch | undefined;
  #waiters: Waiter[] = [];
  #writing = false;
  #indexing = false;
  #flushScheduled = false;
  #toIndex: ClosedBatch[] = [];
  #idle: Array<() => void> = [];
  #fault: StorageFault | undefined;
  batches = 0;
  /** Counts batches that have been acknowledged: readers of the index see all of them. */
  shown = 0;
  operations = 0;

  constructor(deps: CommitterDeps) {
    this.#deps = deps;
  }

  /**
   * Judges a write, now or when its turn comes. Resolves with the outcome once everything that the
   * outcome rests on is durable and visible; a refusal waits for that as a success does.
   *
   * @param bytes about how much the write adds, for the bound on what may wait.
   * @throws StorageFault "busy" when too much waits already, "closed" after a failure.
   */
  submit<Outcome>(bytes: number, judge: Judge<Outcome>): Promise<Outcome> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    if (this.#queuedBytes + bytes > LIMITS.commitQueueBytesMax) {
      return Promise.reject(new StorageFault("busy", "too many writes are waiting"));
    }
    return new Promise<Outcome>((resolve, reject) => {
      if (this.#queue.length > 0 || this.#isFull(bytes)) {
        this.#queuedBytes += bytes;
        this.#queue.push(() => {
          this.#queuedBytes -= bytes;
          this.#run(judge, resolve, reject);
        });
      } else {
        this.#run(judge, resolve, reject);
      }
    });
  }

  /** Resolves when nothing is in line any more, or when a failure has ended all work. */
  idle(): Promise<void> {
    if (this.#fault !== undefined || this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Refuses what comes from now on and waits for what is in line. */
  async close(): Promise<void> {
    await this.idle();
    this.#fault ??= new StorageFault("closed", "the store is closed");
  }

  /** Ends the current segment if no batch is open or being written; tells whether it did. */
  roll(): boolean {
    if (this.#open !== undefined || this.#writing || this.#fault !== undefined) return false;
    this.#deps.lane.rollNow();
    return true;
  }

  /** Calls back whenever the log has got more operations; gives a function that ends it. */
  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #isFull(bytes: number): boolean {
    return this.#open !== undefined && this.#open.bytes + bytes > this.#deps.batchBytesMax;
  }

  #isIdle(): boolean {
    const empty = this.#open === undefined && this.#queue.length === 0;
    return empty && !this.#writing && !this.#indexing && this.#toIndex.length === 0;
  }

  #run<Outcome>(
    judge: Judge<Outcome>,
    resolve: (outcome: Outcome) => void,
    reject: (failure: unknown) => void,
  ): void {
    if (this.#fault !== undefined) {
      reject(this.#fault);
      return;
    }
    this.#open ??= this.#begin();
    const before = this.#open.recordCount;
    try {
      // 1. Preconditions against the index and what is ahead in line; then clock, sequence, chain
      //    and encoding. Bodies and manifests that a write relies on are durable already.
      const outcome = judge(this.#open);
      this.#waiters.push({ resolve: () => resolve(outcome), reject });
    } catch (failure) {
      // A judge that failed with records in the batch has broken its promise: stop before the sync.
      if (this.#open.recordCount !== before) {
        this.#fail(new StorageFault("io", "a write failed half-way", { cause: failure }));
      }
      reject(failure);
    }
    this.#schedule();
  }

  #begin(): OpenBatch {
    const { lane, clock, context } = this.#deps;
    const batch = new OpenBatch(this.#deps, lane.position(clock.last), context);
    const { number } = batch.position;
    if (number === 0 && lane.before !== undefined) {
      batch.local({ kind: "log-continues", ...lane.before });
    }
    const { head, origin, origins } = this.#deps;
    if (number === 0 && !origins.isEmpty) {
      const own = { origin, seq: head.seq, chain: head.chain, hlc: head.ownHlc };
      const heads = [{ ...own, vector: head.vector }, ...origins.states()];
      batch.local({ kind: "origin-heads", heads });
    }
    return batch;
  }

  #schedule(): void {
    if (this.#flushScheduled || this.#writing || this.#open === undefined) return;
    this.#flushScheduled = true;
    this.#deps.defer(() => {
      this.#flushScheduled = false;
      if (this.#writing || this.#open === undefined) return;
      void this.#flush(this.#open);
    });
  }

  async #flush(batch: OpenBatch): Promise<void> {
    if (this.#fault !== undefined) return;
    const { lane, time } = this.#deps;
    this.#writing = true;
    const waiters = this.#waiters;
    this.#waiters = [];
    let closed: LaidOutBatch;
    try {
      closed = this.#close(batch, waiters);
      if (closed.buffer !== undefined) {
        // 2. Append. 3. Sync. Only now may anything learn of it.
        const startedMs = time.monotonicMs();
        const appended = lane.append(closed.buffer, closed.bytes, waiters.length === 1);
        this.#deps.recent.keep(
          batch.position,
          batch.noted,
          closed.buffer.subarray(0, closed.bytes),
        );
        await appended;
        this.#deps.syncMs.add(time.monotonicMs() - startedMs);
        this.batches += 1;
        this.operations += batch.operationCount;
      }
    } catch (cause) {
      const fault = new StorageFault("io", "the log could not be written", { cause });
      this.#fail(fault, waiters);
      return;
    }
    if (this.#fault !== undefined) {
      // The index failed meanwhile: what is durable now will be shown by the next start.
      this.#fail(this.#fault, waiters);
      return;
    }
    this.#toIndex.push(closed.batch);
    this.#writing = false;
    this.#drainQueue();
    if (this.#open !== undefined) void this.#flush(this.#open);
    void this.#index();
  }

  /** Lays the batch out and turns its changes into rows. A batch of refusals writes nothing. */
  #close(batch: OpenBatch, waiters: readonly Waiter[]): LaidOutBatch {
    const { lane, hash, view, head } = this.#deps;
    this.#open = undefined;
    if (batch.recordCount === 0) {
      const changes = view.takeBatch();
      const batch = { moved: false, changes, mutations: [], waiters };
      return { batch, buffer: undefined, bytes: 0 };
    }
    const laidOut = layOutBatch(batch, lane, hash.crc32);
    const { segment, offset } = batch.position;
    const { operationCount: count } = batch;
    if (count > 0) {
      const key = logRunKeyOf(this.#deps.origin, batch.firstSeq);
      view.put(TABLES.logRun, key, { segment, offset, count });
    }
    for (const [origin, run] of batch.runs) {
      const key = logRunKeyOf(origin, run.firstSeq);
      view.put(TABLES.logRun, key, { segment, offset, count: run.count });
    }
    this.#deps.origins.putRows(view);
    view.put(TABLES.position, POSITION_KEY, {
      segment,
      offset: offset + laidOut.bytes,
      origin: this.#deps.origin,
      ...head,
    });
    const changes = view.takeBatch();
    const moved = count > 0 || batch.runs.size > 0 || batch.unparked;
    return { batch: { moved, changes, mutations: view.mutationsOf(changes), waiters }, ...laidOut };
  }

  #drainQueue(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#isFull(0)) return;
      this.#queue.shift();
      next();
    }
  }

  async #index(): Promise<void> {
    if (this.#indexing) return;
    this.#indexing = true;
    while (this.#toIndex.length > 0 && this.#fault === undefined) {
      const batches = this.#toIndex.splice(0);
      const mutations = batches.flatMap((batch) => batch.mutations);
      try {
        // 4. One index transaction at a time, with the applied position in it.
        if (mutations.length > 0) await this.#deps.kv.write(mutations);
      } catch (cause) {
        const fault = new StorageFault("io", "the index could not be written", { cause });
        this.#fail(
          fault,
          batches.flatMap((batch) => batch.waiters),
        );
        return;
      }
      // 5. Visible: acknowledge.
      for (const batch of batches) {
        this.#deps.view.applied(batch.changes);
        this.shown += 1;
        for (const waiter of batch.waiters) waiter.resolve();
      }
      if (this.#listeners.size > 0 && batches.some(({ moved }) => moved)) this.#tell();
    }
    this.#indexing = false;
    if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #fail(fault: StorageFault, under: readonly Waiter[] = []): void {
    for (const waiter of under) waiter.reject(fault);
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    const waiting = [...this.#waiters, ...this.#toIndex.flatMap((batch) => batch.waiters)];
    for (const waiter of waiting) waiter.reject(fault);
    for (const run of this.#queue.splice(0)) run();
    for (const resolve of this.#idle.splice(0)) resolve();
    this.#deps.failStop(fault);
  }
}
