import { alignUp, copyFew } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import type { Hash } from "../ports/hash.ts";

/** Memory of one job: some thousand operations. */
const JOB_BYTES = 1024 * 1024;
const SPANS_MAX = 8192;
const CHAIN_BYTES = 32;
const CHAIN_WORDS = CHAIN_BYTES / 4;
/** Jobs under way; more wait. */
const JOBS_MAX = 4;

/** A digest that is not known yet: that of the span with this number in this job. */
export type PendingDigest = { readonly job: ChainJob; readonly span: number };

type ChainJob = {
  bytes: Buffer;
  /** A copy of its last span, made before the memory goes to another thread, for `digestOf`. */
  last: Buffer | undefined;
  /** Two numbers a span: where it begins in `bytes`, and its length. */
  readonly spans: Uint32Array;
  /**
   * For each span: 1 + the number of the span of this job whose digest it must begin with. 0: there
   * is none, or it is in an earlier job and stands in `links`.
   */
  readonly before: Uint32Array;
  /** Spans that must begin with the digest of a span of an earlier job. */
  links: Array<{ readonly span: number; readonly before: PendingDigest }>;
  used: number;
  count: number;
  digests: Buffer | undefined;
};

/**
 * Checks that operations follow each other: each begins with the digest of the one before. An
 * operation states the digest it follows itself, so that all of them can be computed at once, by
 * the thousand and on another thread, while the log is read on.
 */
export class ChainChecks {
  readonly #hash: Hash;
  readonly #idle: ChainJob[] = [];
  #open: ChainJob | undefined;
  /** The job that was checked last: the first spans of the next one link to its digests. */
  #checked: ChainJob | undefined;
  #running: Array<Promise<void>> = [];
  #failure: unknown;

  constructor(hash: Hash) {
    this.#hash = hash;
  }

  /** Whether an operation of this many bytes fits into a job. */
  takes(bytes: number): boolean {
    return CHAIN_BYTES + bytes <= JOB_BYTES;
  }

  /**
   * Adds an operation.
   *
   * @param chainAt offset of the digest it says it follows.
   * @param before whose digest that has to be, when that has not been checked already.
   */
  add(
    bytes: Buffer,
    { from, to, chainAt }: { readonly from: number; readonly to: number; readonly chainAt: number },
    before: PendingDigest | undefined,
  ): PendingDigest {
    const job = this.#jobFor(CHAIN_BYTES + to - from);
    const span = job.count++;
    const start = job.used;
    copyFew(job.bytes, start, { bytes, from: chainAt, to: chainAt + CHAIN_BYTES });
    bytes.copy(job.bytes, start + CHAIN_BYTES, from, to);
    const length = CHAIN_BYTES + to - from;
    job.spans[span * 2] = start;
    job.spans[span * 2 + 1] = length;
    job.used = alignUp(start + length, 4);
    job.before[span] = before?.job === job ? before.span + 1 : 0;
    if (before !== undefined && before.job !== job) job.links.push({ span, before });
    return { job, span };
  }

  /** The digest of what was added last, at once. */
  digestOf({ job, span }: PendingDigest): Buffer {
    const known = job.digests?.subarray(span * CHAIN_BYTES, (span + 1) * CHAIN_BYTES);
    return known === undefined ? this.#digestOfLast(job) : Buffer.from(known);
  }

  #digestOfLast(job: ChainJob): Buffer {
    return this.#hash.digest("SHA256", job.last ?? lastOf(job));
  }

  /** Whether so many jobs are under way that reading the log should pause. */
  get isBehind(): boolean {
    return this.#running.length >= JOBS_MAX || this.#failure !== undefined;
  }

  /**
   * Waits while too much is under way.
   *
   * @throws StorageFault "corrupt" for an operation that does not follow the one before.
   */
  async catchUp(): Promise<void> {
    while (this.#running.length >= JOBS_MAX) await this.#running.shift();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Waits until everything has been checked; throws as `catchUp` does. */
  async finish(): Promise<void> {
    this.#handOver();
    await Promise.all(this.#running);
    this.#running = [];
    if (this.#failure !== undefined) throw this.#failure;
  }

  #jobFor(bytes: number): ChainJob {
    const open = this.#open;
    if (open !== undefined && (open.used + bytes > JOB_BYTES || open.count === SPANS_MAX)) {
      this.#handOver();
    }
    this.#open ??= this.#idle.pop() ?? newJob();
    return this.#open;
  }

  #handOver(): void {
    const job = this.#open;
    this.#open = undefined;
    if (job !== undefined) this.#running.push(this.#run(job, this.#running.at(-1)));
  }

  async #run(job: ChainJob, earlier: Promise<void> | undefined): Promise<void> {
    try {
      job.last = Buffer.from(lastOf(job));
      const spans = job.spans.slice(0, job.count * 2);
      const done = await this.#hash.sha256Spans(job.bytes.buffer as ArrayBuffer, spans);
      job.bytes = Buffer.from(done.memory);
      job.digests = done.digests;
      await earlier;
      check(job);
      if (this.#checked !== undefined) this.#idle.push(emptied(this.#checked));
      this.#checked = job;
    } catch (failure) {
      this.#failure ??= failure;
    }
  }
}

function check(job: ChainJob): void {
  const { bytes, spans, before, links, digests } = job;
  if (digests === undefined) return;
  const stated = new Int32Array(bytes.buffer, 0, JOB_BYTES / 4);
  const found = new Int32Array(digests.buffer, digests.byteOffset, digests.length / 4);
  for (let span = 0; span < job.count; span++) {
    const follows = before[span] as number;
    if (follows === 0) continue;
    const at = (follows - 1) * CHAIN_WORDS;
    const start = (spans[span * 2] as number) / 4;
    for (let word = 0; word < CHAIN_WORDS; word++) {
      if (stated[start + word] !== found[at + word]) throw broken();
    }
  }
  for (const { span, before: other } of links) {
    const at = other.span * CHAIN_BYTES;
    const start = spans[span * 2] as number;
    const known = other.job.digests?.subarray(at, at + CHAIN_BYTES);
    if (known?.compare(bytes, start, start + CHAIN_BYTES) !== 0) throw broken();
  }
}

/**
 * Empties a job for reuse: once the job behind it has been checked, nothing links to its digests.
 */
function emptied(job: ChainJob): ChainJob {
  job.links = [];
  job.used = 0;
  job.count = 0;
  job.digests = undefined;
  job.last = undefined;
  return job;
}

/** The bytes of the last span of a job. */
function lastOf({ bytes, spans, count }: ChainJob): Buffer {
  const start = spans[count * 2 - 2] ?? 0;
  return bytes.subarray(start, start + (spans[count * 2 - 1] ?? 0));
}

function broken(): StorageFault {
  return new StorageFault("corrupt", "an operation does not follow the one before");
}

function newJob(): ChainJob {
  return {
    bytes: Buffer.from(new ArrayBuffer(JOB_BYTES)),
    last: undefined,
    spans: new Uint32Array(SPANS_MAX * 2),
    before: new Uint32Array(SPANS_MAX),
    links: [],
    used: 0,
    count: 0,
    digests: undefined,
  };
}
