import { Worker } from "node:worker_threads";
import { assert } from "../core/assert.ts";
import { copyInto } from "../core/bytes.ts";
import type { HashAlgorithm, Hasher, StreamHasher } from "./hash.ts";
import {
  HASH_WORKER_CODE,
  type HashReply,
  type HashRequest,
  type HashWorkerData,
} from "./hash-worker.ts";
import { MD5_KERNEL, writeMd5Kernel } from "./md5-kernel.ts";

const SLOT_BYTES = 256 * 1024;
/** With four slots both workers stay busy while data for a fifth of a millisecond arrives. */
const SLOTS_PER_STREAM = 4;
const IDLE_SLOTS_MAX = 16;

/**
 * Measured nanoseconds for a byte, which tell what is worth a worker and how to share the work out.
 * MD5 costs this little beside three other streams, and CRC64NVME is free then.
 */
const WORKER_COST: Readonly<Partial<Record<HashAlgorithm, number>>> = {
  MD5: 0.56,
  CRC64NVME: 0.66,
  SHA256: 0.56,
  SHA1: 0.53,
};

export type HashPoolOptions = {
  /** For algorithms so fast that they stay on the calling thread. */
  readonly start: (algorithm: HashAlgorithm) => Hasher;
  readonly polynomial: string;
  readonly workers: number;
};

export interface HashPool {
  startStream(algorithms: readonly HashAlgorithm[]): StreamHasher;
  /** Ends workers that have had no stream since the last call; returns how many. */
  rest(): number;
  close(): Promise<void>;
}

/** Hashes streams on worker threads, each algorithm of a stream on the least busy of them. */
export function createHashPool(options: HashPoolOptions): HashPool {
  const members: PoolMember[] = [];
  const idleSlots: SharedArrayBuffer[] = [];
  let lastStream = 0;
  let closed = false;

  const spawn = (): PoolMember => {
    const member: PoolMember = new PoolMember(options.polynomial, () => {
      const at = members.indexOf(member);
      if (at >= 0) members.splice(at, 1);
    });
    members.push(member);
    return member;
  };

  const leastBusy = (): PoolMember => {
    while (members.length < options.workers) spawn();
    return members.reduce((best, member) => (member.load < best.load ? member : best));
  };
  // Streams whose MD5 is computed on the same worker share the work of it, four by four.
  const choose = (algorithms: readonly HashAlgorithm[]): PoolMember => {
    const started = members.find(({ md5s }) => md5s % MD5_KERNEL.lanes > 0);
    return (algorithms.includes("MD5") ? started : undefined) ?? leastBusy();
  };

  return {
    startStream(algorithms) {
      assert(!closed, "the hash pool is closed");
      lastStream += 1;
      const inline = algorithms.filter((algorithm) => WORKER_COST[algorithm] === undefined);
      const lanes = shareOut(algorithms, choose);
      return new PooledStream({
        id: lastStream,
        lanes,
        inline: inline.map((algorithm) => [algorithm, options.start(algorithm)] as const),
        idleSlots,
      });
    },
    rest() {
      const unused = members.filter((member) => !member.takeUsed());
      for (const member of unused) {
        members.splice(members.indexOf(member), 1);
        void member.stop();
      }
      if (unused.length > 0) idleSlots.length = 0;
      return unused.length;
    },
    async close() {
      closed = true;
      await Promise.all(members.map((member) => member.stop()));
    },
  };
}

type Lane = { readonly member: PoolMember; readonly algorithms: HashAlgorithm[] };

function shareOut(
  algorithms: readonly HashAlgorithm[],
  choose: (algorithms: readonly HashAlgorithm[]) => PoolMember,
): Lane[] {
  const lanes: Lane[] = [];
  for (const unit of unitsOf(algorithms)) {
    const member = choose(unit);
    member.book(unit);
    const lane = lanes.find((candidate) => candidate.member === member);
    if (lane === undefined) lanes.push({ member, algorithms: [...unit] });
    else lane.algorithms.push(...unit);
  }
  return lanes;
}

/** The algorithms that are worth a worker, dearest first; those computed together stay together. */
function unitsOf(algorithms: readonly HashAlgorithm[]): HashAlgorithm[][] {
  const heavy = algorithms.filter((algorithm) => WORKER_COST[algorithm] !== undefined);
  const together = heavy.includes("MD5") ? heavy.filter(isInKernel) : [];
  const apart = heavy.filter((algorithm) => !together.includes(algorithm));
  const units = apart.map((algorithm) => [algorithm]);
  if (together.length > 0) units.push(together);
  return units.sort((left, right) => costOf(right) - costOf(left));
}

function isInKernel(algorithm: HashAlgorithm): boolean {
  return algorithm === "MD5" || algorithm === "CRC64NVME";
}

function costOf(algorithms: readonly HashAlgorithm[]): number {
  const paid = algorithms.includes("MD5")
    ? algorithms.filter((algorithm) => algorithm !== "CRC64NVME")
    : algorithms;
  return paid.reduce((sum, algorithm) => sum + (WORKER_COST[algorithm] ?? 0), 0);
}

/** One worker thread. It keeps the process alive only while it owes somebody an answer. */
class PoolMember {
  load = 0;
  /** Streams whose MD5 is computed here. */
  md5s = 0;
  readonly #worker: Worker;
  readonly #streams = new Map<number, PooledStream>();
  readonly #gone: () => void;
  #used = true;

  constructor(polynomial: string, gone: () => void) {
    this.#gone = gone;
    this.#worker = new Worker(HASH_WORKER_CODE, {
      eval: true,
      execArgv: [],
      // The worker makes next to no garbage, but V8 would reserve tens of megabytes for it.
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
      name: "atoll-hash",
      workerData: {
        from: import.meta.url,
        polynomial,
        kernel: writeMd5Kernel(polynomial),
        layout: MD5_KERNEL,
      } satisfies HashWorkerData,
    });
    this.#worker.unref();
    this.#worker.on("message", (reply: HashReply) => this.#streams.get(reply.stream)?.hear(reply));
    this.#worker.once("error", (failure) => this.#fail(failure));
    this.#worker.once("exit", () => this.#fail(new Error("a hash worker has ended")));
  }

  /** Whether it has had streams since the last call. */
  takeUsed(): boolean {
    const used = this.#used || this.load > 0 || this.#streams.size > 0;
    this.#used = false;
    return used;
  }

  join(id: number, stream: PooledStream): void {
    this.#used = true;
    if (this.#streams.size === 0) this.#worker.ref();
    this.#streams.set(id, stream);
  }

  /** Counts a stream from now on, until it leaves. */
  book(algorithms: readonly HashAlgorithm[]): void {
    this.load += costOf(algorithms);
    if (algorithms.includes("MD5")) this.md5s += 1;
  }

  leave(id: number, algorithms: readonly HashAlgorithm[]): void {
    if (!this.#streams.delete(id)) return;
    this.#used = true;
    this.load -= costOf(algorithms);
    if (algorithms.includes("MD5")) this.md5s -= 1;
    if (this.#streams.size === 0) this.#worker.unref();
  }

  tell(request: HashRequest): void {
    this.#worker.postMessage(request);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #fail(failure: Error): void {
    this.#gone();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.fail(failure);
  }
}

type StreamParts = {
  readonly id: number;
  readonly lanes: readonly Lane[];
  readonly inline: ReadonlyArray<readonly [HashAlgorithm, Hasher]>;
  /** Shared by all streams; a stream returns its slots there. */
  readonly idleSlots: SharedArrayBuffer[];
};

/** Memory of the caller that lanes read without a copy. */
type Loan = {
  lanes: number;
  readonly resolve: () => void;
  readonly reject: (failure: Error) => void;
};

/**
 * Copies bytes into slots of shared memory, each read by every lane. Invariant: a slot is either
 * idle, being filled, or lent (`#lent` counts the lanes that still read it), never two of them.
 */
class PooledStream implements StreamHasher {
  readonly #parts: StreamParts;
  readonly #slots: SharedArrayBuffer[] = [];
  readonly #lent: number[] = [];
  readonly #free: number[] = [];
  readonly #digests = new Map<HashAlgorithm, Buffer>();
  readonly #loans = new Map<number, Loan>();
  #lastLoan = 0;
  #copying: Promise<void> = Promise.resolve();
  #filling: number | undefined;
  #filled = 0;
  #answers = 0;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    for (const lane of parts.lanes) {
      lane.member.join(parts.id, this);
      lane.member.tell({ kind: "open", stream: parts.id, algorithms: lane.algorithms });
    }
  }

  update(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    for (const [, hasher] of this.#parts.inline) hasher.update(bytes);
    if (this.#parts.lanes.length === 0) return Promise.resolve();
    const copied = this.#copy(bytes, 0);
    return copied === bytes.length ? Promise.resolve() : this.#copyRest(bytes, copied);
  }

  lend(bytes: Uint8Array): Promise<void> {
    const { buffer, byteOffset: offset, length } = bytes;
    if (!(buffer instanceof SharedArrayBuffer)) {
      // Bytes that cannot be lent are copied, one after the other.
      this.#copying = this.#copying.then(() => this.update(bytes));
      return this.#copying;
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { id, lanes, inline } = this.#parts;
    for (const [, hasher] of inline) hasher.update(bytes);
    if (lanes.length === 0) return Promise.resolve();
    assert(this.#filled === 0, "a stream is lent as a whole");
    const slot = --this.#lastLoan;
    this.#tellAll({ kind: "update", stream: id, slot, memory: buffer, offset, length });
    return new Promise((resolve, reject) => {
      this.#loans.set(slot, { lanes: lanes.length, resolve, reject });
    });
  }

  async digest(): Promise<ReadonlyMap<HashAlgorithm, Buffer>> {
    await this.#copying;
    if (this.#failure !== undefined) throw this.#failure;
    this.#lend();
    for (const [algorithm, hasher] of this.#parts.inline) {
      this.#digests.set(algorithm, hasher.digest());
    }
    this.#tellAll({ kind: "digest", stream: this.#parts.id });
    while (this.#answers < this.#parts.lanes.length) await this.#change();
    this.#release();
    return this.#digests;
  }

  abort(): void {
    if (this.#failure !== undefined) return;
    this.#tellAll({ kind: "abort", stream: this.#parts.id });
    this.fail(new Error("the hash was given up"));
  }

  hear(reply: HashReply): void {
    if (reply.kind === "done" && reply.slot < 0) {
      const loan = this.#loans.get(reply.slot);
      if (loan === undefined || --loan.lanes > 0) return;
      this.#loans.delete(reply.slot);
      loan.resolve();
      return;
    }
    if (reply.kind === "done") {
      const left = (this.#lent[reply.slot] ?? 0) - 1;
      this.#lent[reply.slot] = left;
      if (left === 0) this.#free.push(reply.slot);
    } else {
      this.#answers += 1;
      for (const [algorithm, digest] of reply.digests) {
        this.#digests.set(algorithm as HashAlgorithm, Buffer.from(digest));
      }
    }
    this.#wake?.();
  }

  fail(failure: Error): void {
    this.#failure ??= failure;
    this.#release();
    for (const loan of this.#loans.values()) loan.reject(failure);
    this.#loans.clear();
    this.#wake?.();
  }

  /** Copies as much as fits without waiting; returns how far it came. */
  #copy(bytes: Uint8Array, from: number): number {
    let at = from;
    while (at < bytes.length) {
      this.#filling ??= this.#takeSlot();
      const memory = this.#filling === undefined ? undefined : this.#slots[this.#filling];
      if (memory === undefined) break;
      const count = Math.min(bytes.length - at, SLOT_BYTES - this.#filled);
      copyInto(Buffer.from(memory), this.#filled, bytes.subarray(at, at + count));
      this.#filled += count;
      at += count;
      if (this.#filled === SLOT_BYTES) this.#lend();
    }
    return at;
  }

  async #copyRest(bytes: Uint8Array, from: number): Promise<void> {
    let at = from;
    while (at < bytes.length) {
      await this.#change();
      at = this.#copy(bytes, at);
    }
  }

  #takeSlot(): number | undefined {
    const free = this.#free.pop();
    if (free !== undefined || this.#slots.length === SLOTS_PER_STREAM) return free;
    return this.#slots.push(this.#parts.idleSlots.pop() ?? new SharedArrayBuffer(SLOT_BYTES)) - 1;
  }

  #lend(): void {
    const slot = this.#filling;
    const memory = slot === undefined ? undefined : this.#slots[slot];
    if (slot === undefined || memory === undefined) return;
    const { id, lanes } = this.#parts;
    this.#lent[slot] = lanes.length;
    this.#tellAll({ kind: "update", stream: id, slot, memory, offset: 0, length: this.#filled });
    this.#filling = undefined;
    this.#filled = 0;
  }

  #tellAll(request: HashRequest): void {
    for (const lane of this.#parts.lanes) lane.member.tell(request);
  }

  /** Resolves at the next answer of a worker; rejects when there will be none. */
  async #change(): Promise<void> {
    if (this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Leaves the workers. Slots still lent are left to the garbage collector, never used again. */
  #release(): void {
    const { id, lanes, idleSlots } = this.#parts;
    for (const lane of lanes) lane.member.leave(id, lane.algorithms);
    for (const [slot, memory] of this.#slots.entries()) {
      if ((this.#lent[slot] ?? 0) === 0 && idleSlots.length < IDLE_SLOTS_MAX) {
        idleSlots.push(memory);
      }
    }
    this.#slots.length = 0;
    this.#free.length = 0;
    this.#filling = undefined;
  }
}
