import { StorageFault } from "../core/faults.ts";
import { ignore } from "../core/ignore.ts";
import type { ClusterId, OriginId, SiteId } from "../core/names.ts";
import type { BodyRef, ManifestRef, Vector } from "../core/records.ts";
import type { MemberSite, SiteRecord } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Disk } from "../ports/disk.ts";
import type { Hash } from "../ports/hash.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import type { Damage, LogicalRows } from "../storage/logical-rows.ts";
import type { Replica } from "../storage/replica.ts";
import { SECTIONS } from "../storage/row-operations.ts";
import { backoffMs } from "./backoff.ts";
import { Bandwidth, type Rate } from "./bandwidth.ts";
import type { FetchedBody } from "./body-fetch.ts";
import {
  type BootstrapProgress,
  BootstrapRun,
  NO_LEASE,
  type RowSource,
  type SetBacks,
} from "./bootstrap.ts";
import { BootstrapLeases } from "./bootstrap-leases.ts";
import { BootstrapLoop } from "./bootstrap-loop.ts";
import { OwedRows } from "./owed-rows.ts";
import { isKnownBetter, knownOf } from "./own-fork.ts";
import type { PassedOver } from "./passed-over.ts";
import type { AskPeer, PeerCalls } from "./peer-calls.ts";
import { PeerFault } from "./peer-fault.ts";
import type { PeerRoute } from "./peer-server.ts";
import { rightBytes } from "./right-bytes.ts";
import {
  type ArchiveFacts,
  fetchFromArchive,
  isOfArchive,
  openArchive,
  writeArchive,
} from "./row-archive.ts";
import { RowCalls } from "./row-calls.ts";
import { rowRoutes } from "./row-server.ts";
import { Verifier, type VerifyStep, type VerifyWish } from "./verify.ts";

/** What the service needs of the engine that moves operations. */
export type RowsEngine = {
  fetch(
    body: Extract<BodyRef, { kind: "manifests" }>,
    first: SiteId | undefined,
    signal: AbortSignal,
  ): Promise<FetchedBody>;
  callsOf(first?: SiteId): readonly PeerCalls[];
  /** Told how a peer answered that others can be asked behind. */
  readonly passedOver: Pick<PassedOver, "asked">;
};

export type RowsServiceDeps = {
  readonly rows: LogicalRows;
  readonly replica: Replica;
  readonly engine: () => RowsEngine;
  /** Other members that are active. */
  readonly peers: () => readonly MemberSite[];
  readonly own: () => OriginId;
  /** What a peer has last said to have received; undefined while it has said nothing. */
  readonly receivedBy: (peer: SiteId) => Vector | undefined;
  readonly setBacks?: SetBacks | undefined;
  readonly site: SiteId;
  readonly cluster: () => ClusterId;
  readonly disk: Disk;
  readonly ask: AskPeer;
  readonly clock: Clock;
  readonly random: Random;
  readonly hash: Hash;
  readonly log: Log;
  /** From each peer; undefined: without bound. */
  readonly bytesPerSecond: Rate;
  /** How long marks of removals are kept. */
  readonly marksKeptMs: number;
};

/** How often one step of a comparison is asked for when the line to the peer breaks. */
const VERIFY_TRIES = 3;

/**
 * Rows between sites: serves them, takes all of a peer's over, compares them, and gets right bytes
 * for damaged ones. Invariant: one bootstrap is under way at a time, and as long as it is no
 * operations are pulled that its rows may stand for.
 */
export class RowsService {
  readonly #deps: RowsServiceDeps;
  readonly #leases: BootstrapLeases;
  readonly #owed: OwedRows;
  readonly #loop: BootstrapLoop;
  readonly #stop = new AbortController();
  #run: BootstrapRun | undefined;
  /** The import of a directory that is under way, the opening of it included. */
  #importing: Promise<unknown> | undefined;
  /** Resolves when no directory is being written; never rejects. */
  #exporting: Promise<unknown> = Promise.resolve();
  /** Whether a try is under way: rows may arrive at any moment. */
  #isTaking = false;
  /** Peers whose logs begin too late for this site; each is reported once. */
  readonly #needsRows = new Set<SiteId>();
  #release: () => void = () => undefined;

  constructor(deps: RowsServiceDeps) {
    this.#deps = deps;
    this.#leases = new BootstrapLeases(deps.clock);
    this.#owed = new OwedRows({ ...deps, verify: (peer, wish) => this.verify(peer, wish) });
    this.#loop = new BootstrapLoop({
      ...deps,
      hasAll: () => this.#hasAll(),
      takeOver: (peer, merges, signal) => this.#takeOverFrom(peer, merges, signal),
    });
  }

  /** What peers may ask of this site's rows. */
  get routes(): readonly PeerRoute[] {
    const { rows, hash, clock, random, replica } = this.#deps;
    return rowRoutes({
      ...{ rows, hash, clock, random, leases: this.#leases },
      start: (begun) => this.#startRows(begun),
      isSetBack: (known) => isKnownBetter(replica, known),
      applied: () => replica.applied(),
      served: () => undefined,
    });
  }

  /** Goes on with a bootstrap that was interrupted, and answers for damaged bytes. */
  start(): void {
    const { rows, replica, log } = this.#deps;
    this.#release = replica.holdLog(() => this.#leases.vectors());
    rows.repairFrom(
      (damage) => (this.#deps.peers().length === 0 ? NOBODY : this.#rightBytes(damage)),
      ({ kind }, failure) => {
        if (failure === undefined) {
          log.info({ what: kind }, "damaged bytes were written anew, as another site has them");
        } else log.warn({ what: kind, failure }, "damaged bytes could not be written anew");
      },
    );
    this.#goOn();
    this.#owed.look();
  }

  async stop(): Promise<void> {
    const hint = "Ask for it once more when it runs again.";
    this.#stop.abort(new StorageFault("closed", "the server stops in the middle of it", { hint }));
    const looped = this.#loop.stop();
    this.#release();
    await this.#importing?.catch(ignore);
    await this.#exporting;
    await looped;
    await this.#owed.stop();
  }

  /** Whether rows are being taken over, or wanted: this site gives none itself. */
  get isTakingOver(): boolean {
    return this.#isTaking || this.#deps.rows.bootstrap() !== undefined;
  }

  /**
   * Whether logs have to wait, because rows may be here that stand for what they bring. As long as
   * rows are only wanted and nobody gives any, what the logs bring is better than nothing.
   */
  get holdsLogs(): boolean {
    const bootstrap = this.#deps.rows.bootstrap();
    return this.#isTaking || (bootstrap !== undefined && bootstrap.lease !== NO_LEASE);
  }

  /**
   * Handles that a cluster has taken this site in. One that is empty takes over the rows of a
   * member, also where logs would bring everything: that it wants them is part of its log before
   * anybody can ask it for what is there, so it never says that there is nothing. Tells whether it
   * does; a join that was cut off, and is tried once more, is told the same.
   */
  async joined(inviting: SiteId): Promise<boolean> {
    const underWay = this.#deps.rows.bootstrap();
    if (underWay !== undefined) return underWay.merges !== true;
    if (this.#isBusy || !this.#isEmpty) return false;
    const progress = { site: inviting, lease: NO_LEASE, position: "", rows: 0, heads: [] };
    await this.#deps.rows.import({ rows: [], removed: [], progress, rewrite: false });
    this.#loop.want({ site: inviting, merges: false, isAny: true });
    return true;
  }

  /**
   * Handles that a peer's log begins too late, for these origins. An empty site takes over the
   * peer's rows by itself. So does a site that never had anything of those logs: they belong to a
   * site that had data when the two met. Otherwise operators are told.
   */
  belowFloor(peer: SiteRecord, origins: readonly OriginId[]): void {
    if (this.#isBusy) return;
    const { log, replica } = this.#deps;
    if (this.#isEmpty) {
      log.info({ peer: peer.id }, "this site is empty: it takes over all rows of a peer");
      this.#loop.want({ site: peer.id, merges: false, isAny: true });
      return;
    }
    const received = replica.received();
    if (origins.every((origin) => !received.has(origin))) {
      this.#loop.want({ site: peer.id, merges: true, isAny: false });
      return;
    }
    if (this.#needsRows.has(peer.id)) return;
    this.#needsRows.add(peer.id);
    const command = `atoll repl-bootstrap --from ${peer.name}`;
    log.warn({ peer: peer.id }, `this site was away for too long: run \`${command}\` here`);
  }

  get #isBusy(): boolean {
    return this.#loop.isRunning || this.#importing !== undefined || this.isTakingOver;
  }

  /** Whether all that any other member has said to have received is here. */
  #hasAll(): boolean {
    const { replica, peers, receivedBy } = this.#deps;
    const ours = replica.received();
    return peers().every(({ id }) => {
      const theirs = receivedBy(id);
      if (theirs === undefined) return false;
      return [...theirs].every(([origin, seq]) => (ours.get(origin)?.seq ?? 0) >= seq);
    });
  }

  get #isEmpty(): boolean {
    const buckets = { from: SECTIONS.buckets, to: undefined };
    return this.#deps.rows.read(buckets, 1).rows.length === 0;
  }

  /**
   * Begins to take over a peer's rows, or continues. Those of another peer are abandoned, for it
   * may never come back. False while a directory is imported.
   */
  bootstrap(peer: SiteId): boolean {
    if (this.#importing !== undefined) return false;
    this.#loop.want({ site: peer, merges: false, isAny: false });
    return true;
  }

  /** How the bootstrap of this process stands; undefined when there was none. */
  progress(): BootstrapProgress | undefined {
    return this.#run?.progress();
  }

  /** Writes all rows with their bytes into a directory, for another member to import. */
  export(directory: string): Promise<ArchiveFacts> {
    const { disk, replica, rows, cluster, site } = this.#deps;
    const start: LogicalRows["start"] = (begun) => this.#startRows(begun);
    const deps = { disk, replica, rows, cluster, site, start };
    const work = writeArchive(deps, directory, this.#stop.signal);
    this.#exporting = Promise.allSettled([this.#exporting, work]);
    return work;
  }

  /**
   * Takes over what another member has written into a directory; undefined while another import is
   * under way. A bootstrap from a peer is interrupted: the disk was sent because that takes too
   * long. An interrupted import continues when it is asked for again.
   */
  async import(directory: string): Promise<BootstrapProgress | undefined> {
    if (this.#importing !== undefined) return undefined;
    const { disk, cluster } = this.#deps;
    // A directory without an archive interrupts nothing.
    const work = openArchive(disk, directory, cluster()).then(async (archive) => {
      await this.#loop.leaveOff("a directory is imported");
      const fetch = fetchFromArchive(this.#deps, archive);
      return await this.#takeOver(archive.rows, fetch, this.#stop.signal);
    });
    this.#importing = work;
    try {
      return await work;
    } catch (failure) {
      this.#goOn();
      throw failure;
    } finally {
      this.#importing = undefined;
    }
  }

  async #takeOverFrom(peer: MemberSite, merges: boolean, signal: AbortSignal): Promise<void> {
    const calls = this.#callsTo(peer);
    const source: RowSource = {
      site: peer.id,
      start: (lease, until) => calls.start(lease, until),
      rows: (request, until) => calls.rows(request, until),
      ...(merges ? { merges } : {}),
    };
    const fetch: RowsEngine["fetch"] = (...wish) => this.#deps.engine().fetch(...wish);
    const done = await this.#takeOver(source, fetch, signal);
    this.#needsRows.delete(peer.id);
    this.#deps.log.info({ peer: peer.id, ...done }, "all rows of a peer have been taken over");
  }

  async #takeOver(
    source: RowSource,
    fetchFor: RowsEngine["fetch"],
    signal: AbortSignal,
  ): Promise<BootstrapProgress> {
    const { rows, clock, log, own, setBacks } = this.#deps;
    const run = new BootstrapRun(
      {
        ...{ rows, clock, log, own, setBacks },
        fetch: (manifests, site, signal) =>
          fetchFor({ kind: "manifests", manifests }, site, signal),
      },
      source,
    );
    this.#run = run;
    this.#isTaking = true;
    try {
      await run.run(signal);
    } finally {
      this.#isTaking = false;
    }
    this.#owed.look();
    return run.progress();
  }

  /** One bounded step of a comparison with a peer. */
  async verify(peer: SiteRecord, wish: VerifyWish): Promise<VerifyStep> {
    const { rows, hash, clock, replica, marksKeptMs } = this.#deps;
    const verifier = new Verifier(
      {
        ...{ rows, hash, clock, marksKeptMs },
        applied: () => replica.applied(),
        fetch: (manifests, site, until) => this.#fetch(manifests, site, until),
        rightBytes: (damage) => this.#rightBytes(damage),
      },
      this.#callsTo(peer),
      this.#stop.signal,
    );
    // A step reads, and repairs what it finds: one that broke off is simply repeated.
    for (let failures = 1; ; failures++) {
      try {
        return await verifier.step(wish);
      } catch (failure) {
        const isLine = failure instanceof PeerFault && failure.kind === "unreachable";
        if (!isLine || failures >= VERIFY_TRIES) throw failure;
        await clock.sleep(backoffMs(this.#deps.random, failures), this.#stop.signal);
      }
    }
  }

  async #startRows(...[begun]: Parameters<LogicalRows["start"]>): ReturnType<LogicalRows["start"]> {
    const started = this.isTakingOver ? ITSELF : await this.#deps.rows.start(begun);
    // It may have asked for some meanwhile.
    return this.isTakingOver ? ITSELF : started;
  }

  /**
   * Continues a bootstrap that had begun, unless it was an import: the directory may be elsewhere
   * by now.
   */
  #goOn(): void {
    const before = this.#deps.rows.bootstrap();
    if (before === undefined || this.#loop.isRunning || this.#stop.signal.aborted) return;
    if (isOfArchive(before.lease)) {
      const message = "an import was interrupted: run `atoll repl-bootstrap --import DIR` again";
      this.#deps.log.warn({}, message);
      return;
    }
    const isAny = before.lease === NO_LEASE;
    this.#loop.want({ site: before.site, merges: before.merges === true, isAny });
  }

  #rightBytes(damage: Damage): Promise<Uint8Array | undefined> {
    const { engine, clock } = this.#deps;
    return rightBytes({ engine: engine(), clock, callsTo: (peer) => this.#callsTo(peer) }, damage);
  }

  #callsTo(peer: SiteRecord): RowCalls {
    const { ask, clock, bytesPerSecond, replica } = this.#deps;
    const bandwidth = new Bandwidth(clock, bytesPerSecond);
    return new RowCalls({ ask, bandwidth, known: () => knownOf(replica, peer) }, peer);
  }

  #fetch(refs: readonly ManifestRef[], site: SiteId, signal: AbortSignal): Promise<FetchedBody> {
    return this.#deps.engine().fetch({ kind: "manifests", manifests: refs }, site, signal);
  }
}

const ITSELF = { problem: "this site takes over rows itself" } as const;
const NOBODY: Promise<undefined> = Promise.resolve(undefined);
