import type { StorageFault } from "../../core/faults.ts";
import { LIFECYCLE_SETTING } from "../../core/lifecycle-codec.ts";
import type { BucketName } from "../../core/names.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Log } from "../../ports/log.ts";
import { Line } from "../line.ts";
import type { Store } from "../store.ts";
import { type LifecyclePosition, type LifecycleStore, lifecycleStep } from "./lifecycle-step.ts";

/** How often to look whether something has become due; a look reads the rows of buckets. */
const LOOK_MS = 60_000;
/** A new site settles before it begins. */
const FIRST_LOOK_MS = 5_000;
/** After a step nothing is done for this many times as long as the step took. */
const REST_FACTOR = 4;
const BUCKETS_PER_PAGE = 500;
const PAGE_REST_MS = 5;
const DAY_MS = 86_400_000;

export type LifecycleCounts = {
  readonly examined: number;
  readonly expired: number;
  readonly removed: number;
  readonly uploadsAborted: number;
  /** Due, but under a lock or changed in the meantime. */
  readonly kept: number;
};

export type LifecycleStats = LifecycleCounts & {
  readonly running: boolean;
  /** Buckets walked to their end since the start. */
  readonly passes: number;
  /** Unix milliseconds; undefined before the first pass has ended. */
  readonly lastPassMs: number | undefined;
};

export type LifecycleDeps = {
  readonly store: LifecycleStore & Pick<Store, "buckets">;
  readonly clock: Clock;
  readonly log: Log;
  /** Grows whenever something changes, the rules of a bucket among it. */
  readonly activity: () => number;
  /** Why this site's clock is not believed now: then nothing expires. */
  readonly refusal: () => StorageFault | undefined;
};

/** When each bucket was last walked and with which rules, so that none is walked twice a day. */
type Walked = { readonly setting: Uint8Array; readonly day: number };

const NOTHING: LifecycleCounts = {
  examined: 0,
  expired: 0,
  removed: 0,
  uploadsAborted: 0,
  kept: 0,
};

/**
 * Carries out the lifecycles of buckets. Everything falls due at a midnight UTC, so a bucket is
 * walked once a day, when its rules have changed, and after a start, to catch up with what fell due
 * meanwhile. Nothing is remembered on disk: each walk finds by itself what is due.
 */
export class LifecycleSchedule {
  readonly #deps: LifecycleDeps;
  readonly #walked = new Map<BucketName, Walked>();
  readonly #stop = new AbortController();
  #cancelLook: () => void = () => undefined;
  /** One walk at a time: two would only look at the same versions. */
  readonly #line = new Line();
  #counts: LifecycleCounts = NOTHING;
  #running = 0;
  /**
   * The day and activity for which nothing was left to do: until they change, buckets are not read
   * again.
   */
  #done: { readonly day: number; readonly activity: number } | undefined;
  #passes = 0;
  #lastPassMs: number | undefined;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  /** Begins to look regularly. */
  start(): void {
    this.#look(FIRST_LOOK_MS);
  }

  /** Ends after the step under way; later runs do nothing. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#cancelLook();
    await this.#line.idle();
  }

  stats(): LifecycleStats {
    const running = this.#running > 0;
    return { ...this.#counts, running, passes: this.#passes, lastPassMs: this.#lastPassMs };
  }

  /**
   * Walks every bucket that has not been walked today with its present rules; none while the clock
   * is not believed.
   */
  runDue(): Promise<LifecycleCounts> {
    return this.#line.run(async () => {
      if (this.#deps.refusal() !== undefined) return NOTHING;
      const day = this.#today();
      const activity = this.#deps.activity();
      if (this.#done?.day === day && this.#done.activity === activity) return NOTHING;
      const due = (await this.#bucketsWithRules()).filter(([name, setting]) => {
        const walked = this.#walked.get(name);
        return walked === undefined || walked.day < day || !sameBytes(walked.setting, setting);
      });
      this.#done = due.length === 0 ? { day, activity } : undefined;
      return this.#walkAll(due.map(([name]) => name));
    });
  }

  /**
   * Walks one bucket, or every one with a lifecycle, at once; resolves with what was done. Rejects
   * with StorageFault "clock" while the clock is not believed.
   */
  runNow(bucket: BucketName | undefined): Promise<LifecycleCounts> {
    return this.#line.run(async () => {
      const names = (await this.#bucketsWithRules()).map(([name]) => name);
      return this.#walkAll(bucket === undefined ? names : names.filter((name) => name === bucket));
    });
  }

  #look(ms: number): void {
    this.#cancelLook = this.#deps.clock.after(ms, () => {
      this.runDue()
        .catch((failure: unknown) => {
          const message = failure instanceof Error ? failure.message : String(failure);
          this.#deps.log.warn({ failure: message }, "a lifecycle failed; it is tried again");
        })
        .finally(() => {
          if (!this.#stop.signal.aborted) this.#look(LOOK_MS);
        });
    });
  }

  #today(): number {
    return Math.floor(this.#deps.clock.nowMs() / DAY_MS);
  }

  /** Looks at buckets a page at a time, so that thousands of them keep nobody waiting. */
  async #bucketsWithRules(): Promise<Array<readonly [BucketName, Uint8Array]>> {
    const { store, clock } = this.#deps;
    const found: Array<readonly [BucketName, Uint8Array]> = [];
    let after: BucketName | undefined;
    for (let count = BUCKETS_PER_PAGE; count === BUCKETS_PER_PAGE; ) {
      if (after !== undefined) await clock.sleep(PAGE_REST_MS, this.#stop.signal);
      count = 0;
      for (const { name, settings } of store.buckets(after)) {
        const setting = settings.get(LIFECYCLE_SETTING);
        if (setting !== undefined) found.push([name, setting]);
        after = name;
        count += 1;
        if (count === BUCKETS_PER_PAGE) break;
      }
    }
    const names = new Set(found.map(([name]) => name));
    for (const name of this.#walked.keys()) if (!names.has(name)) this.#walked.delete(name);
    return found;
  }

  /** A bucket that fails does not keep the others waiting; the first failure is told at the end. */
  async #walkAll(buckets: readonly BucketName[]): Promise<LifecycleCounts> {
    let sum = NOTHING;
    let failure: { readonly reason: unknown } | undefined;
    this.#running += 1;
    try {
      for (const bucket of buckets) {
        if (this.#stop.signal.aborted) break;
        try {
          sum = add(sum, await this.#walk(bucket));
        } catch (reason) {
          failure ??= { reason };
        }
      }
    } finally {
      this.#running -= 1;
    }
    if (failure !== undefined) throw failure.reason;
    return sum;
  }

  async #walk(bucket: BucketName): Promise<LifecycleCounts> {
    const { store, clock, log } = this.#deps;
    const { signal } = this.#stop;
    const day = this.#today();
    const setting = store.bucket(bucket)?.settings.get(LIFECYCLE_SETTING);
    let sum = NOTHING;
    let from: LifecyclePosition | undefined;
    do {
      const refusal = this.#deps.refusal();
      if (refusal !== undefined) throw refusal;
      const startedMs = clock.monotonicMs();
      const step = await lifecycleStep(store, {
        ...{ bucket, from, dryRun: false },
        nowMs: clock.nowMs(),
      });
      const counts = countsOf(step.examined, step.kept, step.actions);
      sum = add(sum, counts);
      this.#counts = add(this.#counts, counts);
      from = step.next;
      if (from === undefined) break;
      const restMs = (clock.monotonicMs() - startedMs) * REST_FACTOR;
      if (restMs > 0) await clock.sleep(restMs, signal);
    } while (!signal.aborted);
    if (signal.aborted) return sum;
    if (setting !== undefined) this.#walked.set(bucket, { setting, day });
    this.#passes += 1;
    this.#lastPassMs = clock.nowMs();
    const { examined: _examined, ...done } = sum;
    if (Object.values(done).some((count) => count > 0)) {
      log.info({ bucket, ...sum }, "a lifecycle was carried out");
    }
    return sum;
  }
}

function countsOf(
  examined: number,
  kept: number,
  actions: ReadonlyArray<{ readonly action: "expire" | "remove" | "abort-upload" }>,
): LifecycleCounts {
  const count = (wanted: string): number =>
    actions.filter(({ action }) => action === wanted).length;
  return {
    ...{ examined, kept, expired: count("expire"), removed: count("remove") },
    uploadsAborted: count("abort-upload"),
  };
}

function add(left: LifecycleCounts, right: LifecycleCounts): LifecycleCounts {
  return {
    examined: left.examined + right.examined,
    expired: left.expired + right.expired,
    removed: left.removed + right.removed,
    uploadsAborted: left.uploadsAborted + right.uploadsAborted,
    kept: left.kept + right.kept,
  };
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
