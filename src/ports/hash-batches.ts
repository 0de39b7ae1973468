import { Worker } from "node:worker_threads";
import { alignUp, copyInto } from "../core/bytes.ts";
import type { HashAlgorithm } from "./hash.ts";
import {
  BATCH_ALGORITHMS,
  BATCH_LAYOUT,
  type BatchRequest,
  type BatchWorkerData,
  HASH_BATCH_CODE,
} from "./hash-batch-worker.ts";
import { MD5_KERNEL, writeMd5Kernel } from "./md5-kernel.ts";

const { jobWords, digestBytes } = BATCH_LAYOUT;
const MEMORY_BYTES = 1024 * 1024;
const JOBS_MAX = 256;
const HEAD_BYTES = JOBS_MAX * jobWords * 4;
const INPUT_END = MEMORY_BYTES - JOBS_MAX * digestBytes;
/** Once this many bytes wait, the worker begins before the end of the turn, while others arrive. */
const ENOUGH_BYTES = 48 * 1024;
/** Fewer bytes than this are hashed on this thread: waking the worker takes as long. */
const WORTH_BYTES = 12 * 1024;
/**
 * One batch is computed and one waits for the worker; what comes meanwhile goes together into the
 * next one, whose bodies of one length are computed beside each other.
 */
const LENT_MAX = 2;

/** Bytes of each digest, in the order of BATCH_ALGORITHMS. */
const SIZES = [16, 32, 20, 8] as const;

/** What the worker computes of a list of algorithms. */
type Plan = {
  /** The algorithms that the worker computes, as bits; 0 when it computes none. */
  readonly mask: number;
  /** In the order of the list: where a digest begins and ends among those of its job. */
  readonly spans: ReadonlyArray<{ readonly start: number; readonly end: number } | undefined>;
};

type Job = {
  readonly algorithms: readonly HashAlgorithm[];
  readonly bytes: Uint8Array;
  readonly resolve: (digests: readonly Buffer[]) => void;
  readonly reject: (failure: unknown) => void;
};

type Lent = { readonly memory: SharedArrayBuffer; readonly jobs: readonly Job[] };

export type HashBatchesOptions = {
  readonly polynomial: string;
  readonly digest: (algorithm: HashAlgorithm, bytes: Uint8Array) => Buffer;
};

/**
 * Digests of small inputs. All that are asked for in one turn of the event loop are computed
 * together, on another thread when that is worth it: hashing is a sixth of the cost of a small
 * write.
 *
 * Invariant: `#lent` holds the batches under way in the order in which the worker answers.
 */
export class HashBatches {
  readonly #options: HashBatchesOptions;
  readonly #idle: SharedArrayBuffer[] = [];
  #worker: Worker | undefined;
  #waiting: Job[] = [];
  #waitingBytes = 0;
  #lent: Lent[] = [];
  #closed = false;

  constructor(options: HashBatchesOptions) {
    this.#options = options;
  }

  /** The bytes must stay unchanged until the promise resolves. */
  digests(algorithms: readonly HashAlgorithm[], bytes: Uint8Array): Promise<readonly Buffer[]> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#flush());
      this.#waiting.push({ algorithms, bytes, resolve, reject });
      this.#waitingBytes += bytes.length;
      if (this.#waitingBytes >= ENOUGH_BYTES) this.#flush();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #flush(): void {
    const jobs = this.#waiting;
    if (jobs.length === 0 || this.#lent.length >= LENT_MAX) return;
    const worth = !this.#closed && (this.#waitingBytes >= WORTH_BYTES || this.#lent.length > 0);
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (!worth) {
      for (const job of jobs) this.#compute(job);
      return;
    }
    let from = 0;
    while (from < jobs.length && this.#lent.length < LENT_MAX) from = this.#lend(jobs, from);
    this.#waiting = jobs.slice(from);
    for (const { bytes } of this.#waiting) this.#waitingBytes += bytes.length;
  }

  /**
   * Answers a job with the digests that the worker wrote from `at` on; the others are computed
   * here.
   */
  #compute(job: Job, computed?: Buffer, at = 0): void {
    const { algorithms, bytes } = job;
    try {
      const { digest } = this.#options;
      const spans = computed === undefined ? [] : planOf(algorithms).spans;
      const digests = algorithms.map((name, index) => {
        const span = spans[index];
        if (span === undefined || computed === undefined) return digest(name, bytes);
        return computed.subarray(at + span.start, at + span.end);
      });
      job.resolve(digests);
    } catch (failure) {
      job.reject(failure);
    }
  }

  /** Hands jobs from `from` on to the worker, as many as fit; returns the first that did not. */
  #lend(jobs: readonly Job[], from: number): number {
    const memory = this.#idle.pop() ?? new SharedArrayBuffer(MEMORY_BYTES);
    const words = new Int32Array(memory, 0, JOBS_MAX * jobWords);
    const inputs = Buffer.from(memory);
    const batch: Job[] = [];
    let at = HEAD_BYTES;
    let next = from;
    for (; next < jobs.length && batch.length < JOBS_MAX; next++) {
      const job = jobs[next];
      if (job === undefined) break;
      const { mask } = planOf(job.algorithms);
      if (mask === 0 || job.bytes.length > INPUT_END - HEAD_BYTES) {
        this.#compute(job);
        continue;
      }
      if (at + job.bytes.length > INPUT_END) break;
      const word = batch.length * jobWords;
      words[word] = at;
      words[word + 1] = job.bytes.length;
      words[word + 2] = mask;
      copyInto(inputs, at, job.bytes);
      // The worker copies on from there: see `copyInto` for why places are aligned.
      at = alignUp(at + job.bytes.length, 8);
      batch.push(job);
    }
    if (batch.length === 0) {
      this.#idle.push(memory);
      return next;
    }
    this.#lent.push({ memory, jobs: batch });
    const worker = this.#started();
    if (this.#lent.length === 1) worker.ref();
    const request: BatchRequest = { memory, jobs: batch.length };
    worker.postMessage(request);
    return next;
  }

  #started(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const { polynomial } = this.#options;
    const workerData: BatchWorkerData = {
      from: import.meta.url,
      polynomial,
      layout: BATCH_LAYOUT,
      kernel: writeMd5Kernel(polynomial),
      kernelLayout: MD5_KERNEL,
    };
    const worker = new Worker(HASH_BATCH_CODE, {
      eval: true,
      execArgv: [],
      // As the workers of large streams: it makes little garbage, and would keep it for long.
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
      name: "atoll-digest",
      workerData,
    });
    worker.unref();
    worker.on("message", () => this.#hear());
    worker.once("error", () => this.#lost(worker));
    worker.once("exit", () => this.#lost(worker));
    this.#worker = worker;
    return worker;
  }

  /** The worker has written the digests of the oldest batch into the memory it was lent. */
  #hear(): void {
    const lent = this.#lent.shift();
    if (lent === undefined) return;
    if (this.#lent.length === 0) this.#worker?.unref();
    const { jobs } = lent;
    // The memory is lent again: the digests are copied out of it, all at once.
    const bytes = jobs.length * digestBytes;
    const computed = Buffer.from(new Uint8Array(lent.memory, MEMORY_BYTES - bytes, bytes));
    for (let index = 0; index < jobs.length; index++) {
      const job = jobs[index];
      if (job !== undefined) this.#compute(job, computed, bytes - (index + 1) * digestBytes);
    }
    this.#idle.push(lent.memory);
    this.#flush();
  }

  /** When a worker has ended, its batches are computed here, and a new worker is made later. */
  #lost(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const { jobs } of this.#lent.splice(0)) for (const job of jobs) this.#compute(job);
    this.#flush();
  }
}

/** Lists are few, and callers ask with the same ones again. */
const plans = new WeakMap<readonly HashAlgorithm[], Plan>();

function planOf(algorithms: readonly HashAlgorithm[]): Plan {
  const known = plans.get(algorithms);
  if (known !== undefined) return known;
  const plan = makePlan(algorithms);
  plans.set(algorithms, plan);
  return plan;
}

/** The worker computes what is slow, in the order of the bits; the rest stays here. */
function makePlan(algorithms: readonly HashAlgorithm[]): Plan {
  const spans = algorithms.map(() => undefined as Plan["spans"][number]);
  let mask = 0;
  let start = 0;
  for (const [bit, algorithm] of BATCH_ALGORITHMS.entries()) {
    if (!algorithms.includes(algorithm)) continue;
    mask |= 1 << bit;
    const end = start + (SIZES[bit] ?? 0);
    for (const [index, name] of algorithms.entries()) {
      if (name === algorithm) spans[index] = { start, end };
    }
    start = end;
  }
  return { mask, spans };
}
