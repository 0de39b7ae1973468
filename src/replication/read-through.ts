import { StorageFault } from "../core/faults.ts";
import { ignore } from "../core/ignore.ts";
import type { BucketName, ContentHash, OriginId, SiteId } from "../core/names.ts";
import type { ManifestRef } from "../core/records.ts";
import { REMOTE_BUCKETS_MAX, type RemoteManifest } from "../core/remote-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { RemoteBodies } from "../storage/remote-bodies.ts";
import type { Replica } from "../storage/replica.ts";
import type { FetchedBody } from "./body-fetch.ts";
import { Rest } from "./rest.ts";

export type ReadThroughDeps = {
  readonly remote: RemoteBodies;
  readonly onCommit: Replica["onCommit"];
  readonly clock: Clock;
  readonly log: Log;
  /** What is not here of a body, from whoever has it, first asked the site that is named. */
  readonly fetch: (
    manifest: ManifestRef,
    first: SiteId | undefined,
    signal: AbortSignal,
  ) => Promise<FetchedBody>;
  readonly siteOf: (origin: OriginId) => SiteId | undefined;
};

/** What came of one look through what is missing. */
type Pass = { brought: number; readonly failures: unknown[] };
type Job = { waiting: number; readonly done: Promise<void> };

/** How long a reader waits for one manifest's bytes; they go on coming when it has given up. */
const WAIT_MS = 20_000;
/** Manifests that are fetched at once, each with two chunks in memory. */
const AT_ONCE = 4;
/** Manifests that may be waited for before the fetching of them has begun. */
const QUEUE_MAX = 256;
const PAGE = 64;
/** Failures after which what is missing is left alone for a while. */
const FAILURES_MAX = 64;
const FIRST_REST_MS = 2000;
const LONGEST_REST_MS = 5 * 60_000;
const IDLE_MS = 60_000;
/** Manifests that were told to be nowhere: each is told once, as long as there are so many. */
const TOLD_MAX = 1000;

/**
 * Fetches bytes that rows name and that are not here: when somebody reads them, and, once a bucket
 * does not show rows first any more, by itself. What has come is durable before anybody reads it.
 * Invariant: what one manifest lists is fetched once at a time, however many wait for it.
 */
export class ReadThrough {
  readonly #deps: ReadThroughDeps;
  readonly #jobs = new Map<ContentHash, Job>();
  /** Jobs that have not begun, in order. */
  readonly #queue: Array<() => void> = [];
  readonly #told = new Set<ContentHash>();
  readonly #stop = new AbortController();
  readonly #rest: Rest;
  #running = 0;
  /** What buckets looked like when everything had been looked through, without a failure. */
  #seenChanges: number | undefined;
  /** What they looked like when the last pass began, which may have failed. */
  #triedChanges: number | undefined;
  /** The last that a pass looked at which ended early: the next one goes on behind it. */
  #filledTo: ContentHash | undefined;
  #failures = 0;
  #forget: () => void = () => undefined;
  #filling: Promise<void> = Promise.resolve();

  constructor(deps: ReadThroughDeps) {
    this.#deps = deps;
    this.#rest = new Rest(deps.clock);
  }

  start(): void {
    this.#deps.remote.bringFrom((manifest, writer) => this.bring(manifest, writer));
    this.#forget = this.#deps.onCommit(() => this.#look());
    this.#filling = this.#fillAlways();
  }

  async stop(): Promise<void> {
    this.#forget();
    this.#stop.abort();
    this.#rest.end();
    for (const begin of this.#queue.splice(0)) begin();
    await Promise.allSettled([this.#filling, ...[...this.#jobs.values()].map(({ done }) => done)]);
  }

  /** Something was committed: buckets may want their bytes now. Costs nothing where none lacks. */
  #look(): void {
    const { remote } = this.#deps;
    // What has been tried and failed waits for its time, however much is committed meanwhile.
    if (remote.bucketChanges() === this.#triedChanges || remote.sum().manifests === 0) return;
    this.#rest.end();
  }

  /** A peer can be reached that could not before. */
  retry(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#rest.end();
  }

  /**
   * Fetches what a manifest lists, or waits for who does.
   *
   * @throws StorageFault "unreachable" when it cannot be had now or takes too long, "busy" when too
   *   many are waited for.
   */
  async bring(manifest: ManifestRef, writer: OriginId | undefined): Promise<void> {
    const job = this.#jobFor(manifest, writer);
    job.waiting += 1;
    try {
      if (!(await this.#isInTime(job.done))) {
        throw new StorageFault("unreachable", "bytes of an object are still on their way");
      }
    } finally {
      job.waiting -= 1;
    }
  }

  async #isInTime(done: Promise<void>): Promise<boolean> {
    let cancel: () => void = () => undefined;
    const late = new Promise<boolean>((resolve) => {
      cancel = this.#deps.clock.after(WAIT_MS, () => resolve(false));
    });
    try {
      return await Promise.race([done.then(() => true), late]);
    } finally {
      cancel();
    }
  }

  #jobFor(manifest: ManifestRef, writer: OriginId | undefined): Job {
    const before = this.#jobs.get(manifest.hash);
    if (before !== undefined) return before;
    if (this.#queue.length >= QUEUE_MAX) {
      throw new StorageFault("busy", "bytes of too many objects are being fetched");
    }
    const job: Job = { waiting: 0, done: this.#run(manifest, writer) };
    this.#jobs.set(manifest.hash, job);
    // Whoever waits hears of a failure; nobody may wait any more.
    job.done.catch(ignore).finally(() => this.#jobs.delete(manifest.hash));
    return job;
  }

  async #run(manifest: ManifestRef, writer: OriginId | undefined): Promise<void> {
    if (this.#running >= AT_ONCE) {
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    }
    this.#running += 1;
    try {
      this.#stop.signal.throwIfAborted();
      // Who asked for it may have gone while others were fetched.
      if (this.#jobs.get(manifest.hash)?.waiting !== 0) await this.#fetch(manifest, writer);
    } finally {
      this.#running -= 1;
      this.#queue.shift()?.();
    }
  }

  async #fetch(manifest: ManifestRef, writer: OriginId | undefined): Promise<void> {
    const { remote, siteOf } = this.#deps;
    const first = writer === undefined ? undefined : siteOf(writer);
    const fetched = await this.#deps.fetch(manifest, first, this.#stop.signal);
    if (fetched.outcome === "whole") {
      await remote.take(fetched.manifests);
      this.#told.delete(manifest.hash);
      return;
    }
    if (fetched.outcome === "gone") this.#tellGone(manifest);
    throw new StorageFault("unreachable", "bytes of an object stand at other sites only", {
      hint: fetched.outcome === "gone" ? "No site has them." : fetched.reason,
    });
  }

  #tellGone({ hash, bytes }: ManifestRef): void {
    if (this.#told.has(hash)) return;
    if (this.#told.size >= TOLD_MAX) this.#told.clear();
    this.#told.add(hash);
    this.#deps.log.warn(
      { manifest: hash, bytes },
      "bytes of an object that is shown here are at no site that answers",
    );
  }

  async #fillAlways(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const restMs = await this.#fill();
      if (!signal.aborted) await this.#rest.take(restMs);
    }
  }

  /**
   * Fetches what buckets lack that do not show rows first any more, up to so many failures; gives
   * how long to rest. What comes behind these is looked at first by the next pass: bytes that are
   * at no site any more keep no others from coming.
   */
  async #fill(): Promise<number> {
    const { remote, clock } = this.#deps;
    const changes = remote.bucketChanges();
    if (changes === this.#seenChanges || remote.sum().manifests === 0) return IDLE_MS;
    this.#triedChanges = changes;
    const isAll = this.#filledTo === undefined;
    const wanted = new WantedBuckets(remote);
    const pass: Pass = { brought: 0, failures: [] };
    for (let more = true; more; ) {
      const page = remote.list(this.#filledTo, PAGE);
      more = page.length === PAGE;
      for (const one of page) {
        if (wanted.has(one)) await this.#fillOne(one, pass);
        this.#filledTo = one.hash;
        if (this.#stop.signal.aborted) return 0;
        if (pass.failures.length === FAILURES_MAX) return this.#restAfter(pass);
      }
      await clock.sleep(0);
    }
    this.#filledTo = undefined;
    if (pass.failures.length > 0) return this.#restAfter(pass);
    if (isAll) this.#seenChanges = changes;
    this.#failures = 0;
    return 0;
  }

  /** The longer nothing comes, the longer it is until the next pass. */
  #restAfter({ brought, failures: [failure] }: Pass): number {
    this.#failures = brought > 0 ? 1 : this.#failures + 1;
    const message = failure instanceof Error ? failure.message : String(failure);
    this.#deps.log.debug(
      { failure: message },
      "bytes that a bucket wants now did not come; tried again",
    );
    return Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(this.#failures - 1, 20));
  }

  async #fillOne(manifest: RemoteManifest, pass: Pass): Promise<void> {
    try {
      // Waits for as long as it takes, unlike a reader.
      const job = this.#jobFor(manifest, undefined);
      job.waiting += 1;
      await job.done;
      pass.brought += 1;
    } catch (failure) {
      pass.failures.push(failure);
    }
  }
}

/** Which buckets want all of their bytes, asked of each once. */
class WantedBuckets {
  readonly #remote: RemoteBodies;
  readonly #known = new Map<BucketName, boolean>();

  constructor(remote: RemoteBodies) {
    this.#remote = remote;
  }

  has({ buckets }: RemoteManifest): boolean {
    // Of others that name it nothing is remembered: it comes, whatever they want.
    if (buckets.length >= REMOTE_BUCKETS_MAX) return true;
    return buckets.some((bucket) => {
      const known = this.#known.get(bucket) ?? !this.#remote.showsRowsFirst(bucket);
      this.#known.set(bucket, known);
      return known;
    });
  }
}
