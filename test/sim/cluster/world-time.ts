import type { Cancel, Clock } from "../../../src/ports/clock.ts";

type Timer = { readonly dueMs: number; readonly order: number; callback: (() => void) | undefined };

/**
 * Time of the whole simulated world. Nothing happens between timers: each is let run until all that
 * it began waits for another one, so that a run depends on its seed alone.
 */
export class WorldTime {
  #nowMs = 0;
  #order = 0;
  /** A binary heap by due time, then by order of scheduling. */
  readonly #heap: Timer[] = [];

  /** Milliseconds since the beginning. */
  get nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, callback: () => void): Cancel {
    const timer: Timer = { dueMs: this.#nowMs + Math.max(0, ms), order: this.#order++, callback };
    this.#push(timer);
    return () => {
      timer.callback = undefined;
    };
  }

  /** Lets time pass. */
  async run(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await turn();
    while (await this.#fireNext(untilMs));
    this.#nowMs = untilMs;
  }

  /** Skips a long time in which nobody looks at anything: what was due comes late, but once. */
  leap(ms: number): void {
    this.#nowMs += ms;
  }

  /**
   * Lets time pass until the work has ended; its failure is thrown.
   *
   * @throws Error when it has not ended after `msMax`, or waits for nothing.
   */
  async until<Value>(work: Promise<Value>, what: string, msMax = 3_600_000): Promise<Value> {
    let ended = false;
    const end = (): void => {
      ended = true;
    };
    work.then(end, end);
    const limitMs = this.#nowMs + msMax;
    await turn();
    while (!ended) {
      if (!(await this.#fireNext(limitMs))) throw new Error(`${what} hangs`);
    }
    return work;
  }

  async #fireNext(limitMs: number): Promise<boolean> {
    const next = this.#heap[0];
    if (next === undefined || next.dueMs > limitMs) return false;
    this.#pop();
    const { callback } = next;
    if (callback === undefined) return true;
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    callback();
    await turn();
    return true;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const above = (at - 1) >>> 1;
      const parent = heap[above] as Timer;
      if (!isBefore(timer, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Timer)) child += 1;
      const smaller = heap[child];
      if (smaller === undefined || !isBefore(smaller, last)) break;
      heap[at] = smaller;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(left: Timer, right: Timer): boolean {
  return left.dueMs === right.dueMs ? left.order < right.order : left.dueMs < right.dueMs;
}

/** Until all that was begun waits for a timer: setImmediate lets every promise go first. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** The wall clock of a machine: it is wrong, drifts and jumps as it is told. */
export class WallClock {
  readonly #time: WorldTime;
  #setAtMs = 0;
  #latestMs = 0;
  #wallMs: number;
  #rate = 1;

  constructor(time: WorldTime, startMs: number) {
    this.#time = time;
    this.#wallMs = startMs;
  }

  nowMs(): number {
    return Math.floor(this.#wallMs + (this.#time.nowMs - this.#setAtMs) * this.#rate);
  }

  /** The latest time that it has ever shown. */
  get latestMs(): number {
    return Math.max(this.#latestMs, this.nowMs());
  }

  jump(ms: number): void {
    this.#rebase(this.nowMs() + ms);
  }

  /** Seconds of this clock per second of the world from now on. */
  drift(rate: number): void {
    this.#rebase(this.nowMs());
    this.#rate = rate;
  }

  /** Shows another time from now on, at the right pace. */
  set(wallMs: number): void {
    this.#rebase(wallMs);
    this.#rate = 1;
  }

  #rebase(wallMs: number): void {
    this.#latestMs = this.latestMs;
    this.#wallMs = wallMs;
    this.#setAtMs = this.#time.nowMs;
  }
}

/** The clock as one process has it: when the process has died, none of its timers fires. */
export class ProcessClock implements Clock {
  readonly #time: WorldTime;
  readonly #wall: WallClock;
  readonly #hasPower: () => boolean;
  #alive = true;

  constructor(time: WorldTime, wall: WallClock, hasPower: () => boolean = () => true) {
    this.#time = time;
    this.#wall = wall;
    this.#hasPower = hasPower;
  }

  get alive(): boolean {
    return this.#alive && this.#hasPower();
  }

  nowMs(): number {
    return this.#wall.nowMs();
  }

  monotonicMs(): number {
    return this.#time.nowMs;
  }

  after(ms: number, callback: () => void): Cancel {
    if (!this.alive) return () => undefined;
    return this.#time.after(ms, () => {
      if (this.alive) callback();
    });
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const cancel = this.after(ms, finish);
      signal?.addEventListener("abort", finish);
    });
  }

  /** The process has died. */
  stop(): void {
    this.#alive = false;
  }
}
