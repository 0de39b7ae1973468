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
import { FetchRoom } from "./fetch-room.ts";
import { Rest } from "./rest.ts";

export type ReadThroughDeps = {
  readonly remote: RemoteBodies;
  readonly onCommit: Replica["onCommit"];
  readonly clock: Clock;
  readonly log: Log;
  /** Fetches the missing bytes of a body from any site, asking the named one first. */
  readonly fetch: (
    manifest: ManifestRef,
    first: SiteId | undefined,
    signal: AbortSignal,
  ) => Promise<FetchedBody>;
  readonly siteOf: (origin: OriginId) => SiteId | undefined;
};

/** The result of one pass over the missing manifests. */
type Pass = { brought: number; readonly failures: unknown[] };
type Waiting = { readonly site: SiteId | undefined; readonly begin: () => void };
type Job = { waiting: number; readonly done: Promise<void> };

/**
 * How long a reader waits for the bytes of a manifest; the fetch goes on when the reader has given
 * up.
 */
const WAIT_MS = 20_000;
/** Manifests that are fetched at once, each with two chunks in memory; and of several sites. */
const AT_ONCE = 4;
const AT_ONCE_OF_ALL = 8;
/** Manifests of one site that may be waited for before the fetching of them has begun. */
const QUEUE_MAX = 256;
const PAGE = 64;
/** After this many failures, missing bytes are left alone for a while. */
const FAILURES_MAX = 64;
const FIRST_REST_MS = 2000;
const LONGEST_REST_MS = 5 * 60_000;
const IDLE_MS = 60_000;
/** How many manifests are remembered whose bytes no site has, so that each is reported once. */
const TOLD_MAX = 1000;

/**
 * Fetches bytes that rows name and that are not here: when somebody reads them, and by itself once
 * their bucket is not metadata-first any more. They are durable before anybody reads them.
 * Invariant: the bytes of one manifest are fetched once at a time, however many wait for them.
 */
export class ReadThrough {
  readonly #deps: ReadThroughDeps;
  readonly #jobs = new Map<ContentHash, Job>();
  /** Jobs that have not begun, in order, and the site that each asks first. */
  readonly #queue: Waiting[] = [];
  readonly #room = new FetchRoom<SiteId | undefined>(AT_ONCE, AT_ONCE_OF_ALL);
  readonly #told = new Set<ContentHash>();
  readonly #stop = new AbortController();
  readonly #rest: Rest;
  /**
   * The state of the buckets (`bucketChanges`) when a pass last went over everything without a
   * failure.
   */
  #seenChanges: number | undefined;
  /** Their state when the last pass began, which may have failed. */
  #triedChanges: number | undefined;
  /** Where the last pass ended early: the next one continues behind it. */
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
    for (const one of this.#queue.splice(0)) this.#begin(one);
    await Promise.allSettled([this.#filling, ...[...this.#jobs.values()].map(({ done }) => done)]);
  }

  /**
   * Called after a commit: buckets may want their bytes now. Costs nothing where nothing is
   * missing.
   */
  #look(): void {
    const { remote } = this.#deps;
    // A pass that has failed is repeated when its rest is over, however much is committed
    // meanwhile.
    if (remote.bucketChanges() === this.#triedChanges || remote.sum().manifests === 0) return;
    this.#rest.end();
  }

  /** Called when a peer can be reached again. */
  retry(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#rest.end();
  }

  /**
   * Fetches the bytes of a manifest, or waits for a fetch under way.
   *
   * @throws StorageFault "unreachable" when they cannot be had now or it takes too long, "busy"
   * when too many fetches are waited for.
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
    const first = writer === undefined ? undefined : this.#deps.siteOf(writer);
    if (this.#queue.filter(({ site }) => site === first).length >= QUEUE_MAX) {
      throw new StorageFault("busy", "bytes of too many objects are being fetched");
    }
    const job: Job = { waiting: 0, done: this.#run(manifest, first) };
    this.#jobs.set(manifest.hash, job);
    // Whoever waits hears of a failure; nobody may wait any more.
    job.done.catch(ignore).finally(() => this.#jobs.delete(manifest.hash));
    return job;
  }

  async #run(manifest: ManifestRef, first: SiteId | undefined): Promise<void> {
    if (this.#room.isFor(first)) this.#room.take(first);
    else await new Promise<void>((begin) => this.#queue.push({ site: first, begin }));
    try {
      this.#stop.signal.throwIfAborted();
      // Everybody who asked may have gone while other fetches ran.
      if (this.#jobs.get(manifest.hash)?.waiting !== 0) await this.#fetch(manifest, first);
    } finally {
      this.#room.leave(first);
      this.#beginNext();
    }
  }

  /** There is room again, for the first that it is for. */
  #beginNext(): void {
    const at = this.#queue.findIndex(({ site }) => this.#room.isFor(site));
    const [next] = at < 0 ? [] : this.#queue.splice(at, 1);
    if (next !== undefined) this.#begin(next);
  }

  #begin({ site, begin }: Waiting): void {
    this.#room.take(site);
    begin();
  }

  async #fetch(manifest: ManifestRef, first: SiteId | undefined): Promise<void> {
    const { remote } = this.#deps;
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
   * Fetches the missing bytes of buckets that are not metadata-first any more, up to a number of
   * failures; returns how long to rest. The next pass begins behind them, so that bytes which no
   * site has any more do not keep others from coming.
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
    // Not all buckets that name it are remembered, so it is fetched whatever the known ones want.
    if (buckets.length >= REMOTE_BUCKETS_MAX) return true;
    return buckets.some((bucket) => {
      const known = this.#known.get(bucket) ?? !this.#remote.showsRowsFirst(bucket);
      this.#known.set(bucket, known);
      return known;
    });
  }
}
