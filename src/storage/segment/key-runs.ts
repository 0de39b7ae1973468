import { assert } from "../../core/assert.ts";
import { LIMITS } from "../../core/limits.ts";

/** Bytes of names in a run, and names: sorting a full run takes about a millisecond. */
const RUN_BYTES = 64 * 1024;
const RUN_NAMES = 1024;
const NAME_BYTES_MAX = LIMITS.bucketNameBytesMax + 1 + LIMITS.keyBytesMax;
/** Names merged between two turns of the event loop: under a millisecond. */
const MERGE_STEP_NAMES = 256;

/** A name among the runs: bytes `start` to `end` of `names`. */
export type MergedName = {
  names: Buffer;
  start: number;
  end: number;
  recordOffset: number;
};

type Run = {
  readonly names: Buffer;
  /** Where each name starts, and behind the last one where it ends. */
  readonly starts: Uint32Array;
  readonly recordOffsets: Uint32Array;
  readonly order: Uint16Array;
  count: number;
  /** Position in the order while merging. */
  next: number;
};

/**
 * Names (bucket, NUL, key, in UTF-8), each with the offset of a record, collected in order of
 * arrival and returned in order of bytes, then of arrival. They are copied out of strings at once,
 * so that a full segment leaves no garbage, and sorted in short steps at the end.
 */
export class KeyRuns {
  readonly #runs: Run[] = [];
  #current: Run | undefined;
  #used = 0;
  #count = 0;
  #bytes = 0;

  get count(): number {
    return this.#count;
  }

  /** Bytes of all names together. */
  get bytes(): number {
    return this.#bytes;
  }

  add(bucket: string, key: string, recordOffset: number): void {
    assert(recordOffset <= 0xffff_ffff, "a segment's offsets fit 32 bits");
    const run = this.#runWithRoom();
    const bucketEnd = this.#used + run.names.write(bucket, this.#used, "latin1");
    run.names[bucketEnd] = 0;
    const end = bucketEnd + 1 + run.names.write(key, bucketEnd + 1, "utf8");
    run.recordOffsets[run.count] = recordOffset;
    run.count++;
    run.starts[run.count] = end;
    this.#bytes += end - this.#used;
    this.#used = end;
    this.#count++;
  }

  #runWithRoom(): Run {
    const current = this.#current;
    if (
      current !== undefined &&
      current.count < RUN_NAMES &&
      this.#used + NAME_BYTES_MAX <= RUN_BYTES
    ) {
      return current;
    }
    const run: Run = {
      names: Buffer.allocUnsafeSlow(RUN_BYTES),
      starts: new Uint32Array(RUN_NAMES + 1),
      recordOffsets: new Uint32Array(RUN_NAMES),
      order: new Uint16Array(RUN_NAMES),
      count: 0,
      next: 0,
    };
    this.#current = run;
    this.#used = 0;
    this.#runs.push(run);
    return run;
  }

  /**
   * Gives every name to `visit`, sorted, in one object that is reused. Works in short steps and
   * waits for `yieldTurn` between them.
   */
  async merge(visit: (name: MergedName) => void, yieldTurn: () => Promise<void>): Promise<void> {
    for (const run of this.#runs) {
      sortRun(run);
      await yieldTurn();
    }
    const heap = new RunHeap(this.#runs);
    const name: MergedName = { names: Buffer.alloc(0), start: 0, end: 0, recordOffset: 0 };
    for (let visited = 1; heap.take(name); visited++) {
      visit(name);
      if (visited % MERGE_STEP_NAMES === 0) await yieldTurn();
    }
  }
}

function sortRun(run: Run): void {
  const { names, starts, order } = run;
  for (let at = 0; at < run.count; at++) order[at] = at;
  run.next = 0;
  const used = order.subarray(0, run.count);
  used.sort((left, right) => {
    const difference = compareRanges(
      { names, start: starts[left] ?? 0, end: starts[left + 1] ?? 0 },
      { names, start: starts[right] ?? 0, end: starts[right + 1] ?? 0 },
    );
    return difference === 0 ? left - right : difference;
  });
}

type NameRange = Pick<MergedName, "names" | "start" | "end">;

/** Unsigned bytes, shorter first. A loop, because a call into native code costs more. */
function compareRanges(left: NameRange, right: NameRange): number {
  const { names: leftNames, start: leftStart } = left;
  const { names: rightNames, start: rightStart } = right;
  const shared = Math.min(left.end - leftStart, right.end - rightStart);
  for (let at = 0; at < shared; at++) {
    const difference = (leftNames[leftStart + at] ?? 0) - (rightNames[rightStart + at] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.end - leftStart - (right.end - rightStart);
}

/** The head of a run while merging; `index` is its place in order of arrival. */
type Head = {
  names: Buffer;
  start: number;
  end: number;
  readonly run: Run;
  readonly index: number;
};

/** A binary heap of sorted runs, the smallest name on top. */
class RunHeap {
  readonly #heads: Head[] = [];

  constructor(runs: readonly Run[]) {
    runs.forEach((run, index) => {
      const head: Head = { names: run.names, start: 0, end: 0, run, index };
      if (load(head)) this.#heads.push(head);
    });
    for (let at = Math.floor(this.#heads.length / 2) - 1; at >= 0; at--) this.#sink(at);
  }

  /** Moves the smallest name into `name`; false when there is none. */
  take(name: MergedName): boolean {
    const top = this.#heads[0];
    if (top === undefined) return false;
    name.names = top.names;
    name.start = top.start;
    name.end = top.end;
    name.recordOffset = top.run.recordOffsets[top.run.order[top.run.next] ?? 0] ?? 0;
    top.run.next++;
    if (!load(top)) {
      const last = this.#heads.pop();
      if (last !== undefined && last !== top) this.#heads[0] = last;
    }
    this.#sink(0);
    return true;
  }

  #sink(from: number): void {
    const heads = this.#heads;
    const moving = heads[from];
    if (moving === undefined) return;
    let at = from;
    while (true) {
      let child = 2 * at + 1;
      let smaller = heads[child];
      if (smaller === undefined) break;
      const right = heads[child + 1];
      if (right !== undefined && compareHeads(right, smaller) < 0) {
        smaller = right;
        child++;
      }
      if (compareHeads(moving, smaller) <= 0) break;
      heads[at] = smaller;
      at = child;
    }
    heads[at] = moving;
  }
}

function compareHeads(left: Head, right: Head): number {
  const difference = compareRanges(left, right);
  return difference === 0 ? left.index - right.index : difference;
}

/** Points the head at its run's next name; false at the end of the run. */
function load(head: Head): boolean {
  const { run } = head;
  if (run.next >= run.count) return false;
  const entry = run.order[run.next] ?? 0;
  head.start = run.starts[entry] ?? 0;
  head.end = run.starts[entry + 1] ?? 0;
  return true;
}
