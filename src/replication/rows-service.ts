import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import { type ClusterId, makeVersionId, type OriginId, type SiteId } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { BodyRef, LogStart } from "../core/records.ts";
import type { MemberSite, SiteRecord } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Disk } from "../ports/disk.ts";
import type { Hash } from "../ports/hash.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import type { Damage, LogicalRows } from "../storage/logical-rows.ts";
import type { Replica } from "../storage/replica.ts";
import { positionsOfVersion, SECTIONS } from "../storage/row-operations.ts";
import { backoffMs } from "./backoff.ts";
import { Bandwidth, type Rate } from "./bandwidth.ts";
import { type FetchedBody, fetchBody } from "./body-fetch.ts";
import { type BootstrapProgress, BootstrapRun, type RowSource } from "./bootstrap.ts";
import { BootstrapLeases } from "./bootstrap-leases.ts";
import type { PassedOver } from "./passed-over.ts";
import type { AskPeer, PeerCalls } from "./peer-calls.ts";
import { PeerFault } from "./peer-fault.ts";
import type { PeerRoute } from "./peer-server.ts";
import { type ArchiveFacts, isOfArchive, openArchive, writeArchive } from "./row-archive.ts";
import { RowCalls } from "./row-calls.ts";
import { rowRoutes } from "./row-server.ts";
import { Verifier, type VerifyStep, type VerifyWish } from "./verify.ts";

/** What moves operations, as far as rows need it. */
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

/** How long a reader waits for right bytes from others, before it is told of the damage. */
const REPAIR_MS_MAX = 10_000;
/** How often one step of a comparison is asked for when the line to the peer breaks. */
const VERIFY_TRIES = 3;

/**
 * Rows between sites: serves them, takes all of a peer's over, compares them, and gets right bytes
 * for damaged ones. Invariant: one bootstrap is under way at a time, and as long as it is no
 * operations are pulled.
 */
export class RowsService {
  readonly #deps: RowsServiceDeps;
  readonly #leases: BootstrapLeases;
  readonly #stop = new AbortController();
  #run: BootstrapRun | undefined;
  /** Tries until all rows are here, and waits in between. */
  #running: Promise<void> | undefined;
  /** Such a try is under way: rows may come in at any moment. */
  #isTaking = false;
  /** Peers whose logs begin too late for this site, as it was told once. */
  readonly #needsRows = new Set<SiteId>();
  /** Said once, for it may be so for as long as the peer itself takes over rows. */
  #whyNotMerged: string | undefined;
  #release: () => void = () => undefined;

  constructor(deps: RowsServiceDeps) {
    this.#deps = deps;
    this.#leases = new BootstrapLeases(deps.clock);
  }

  /** What peers may ask of this site's rows. */
  get routes(): readonly PeerRoute[] {
    const { rows, hash, clock, random, replica } = this.#deps;
    return rowRoutes({
      ...{ rows, hash, clock, random, leases: this.#leases },
      heads: () => this.#heads(),
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
    const before = rows.bootstrap();
    if (before !== undefined && isOfArchive(before.lease)) {
      log.warn({}, "an import was interrupted: run `atoll repl-bootstrap --import DIR` again");
    } else if (before !== undefined) this.#begin(before.site, before.merges === true);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#release();
    await this.#running;
  }

  /** Whether rows are being taken over: then no operations may be pulled. */
  get isTakingOver(): boolean {
    return this.#isTaking || this.#deps.rows.bootstrap() !== undefined;
  }

  /**
   * A peer's log begins too late, of these origins. An empty site takes its rows by itself, and so
   * does one that never had anything of those logs: they are of a site that had data when the two
   * met. Others are told.
   */
  belowFloor(peer: SiteRecord, origins: readonly OriginId[]): void {
    if (this.#running !== undefined || this.isTakingOver) return;
    const { rows, log, replica } = this.#deps;
    const buckets = { from: SECTIONS.buckets, to: undefined };
    if (rows.read(buckets, 1).rows.length === 0) {
      log.info({ peer: peer.id }, "this site is empty: it takes over all rows of a peer");
      this.#begin(peer.id, false);
      return;
    }
    const received = replica.received();
    if (origins.every((origin) => !received.has(origin))) {
      this.#begin(peer.id, true);
      return;
    }
    if (this.#needsRows.has(peer.id)) return;
    this.#needsRows.add(peer.id);
    const command = `atoll repl-bootstrap --from ${peer.name}`;
    log.warn({ peer: peer.id }, `this site was away for too long: run \`${command}\` here`);
  }

  /** Begins to take over a peer's rows, or goes on; false when another bootstrap is under way. */
  bootstrap(peer: SiteId): boolean {
    const now = this.#run?.progress();
    if (this.#running !== undefined && now?.site !== peer) return false;
    if (this.#running === undefined) this.#begin(peer, false);
    return true;
  }

  /** How the bootstrap of this process stands; undefined when there was none. */
  progress(): BootstrapProgress | undefined {
    return this.#run?.progress();
  }

  /** Writes all rows with their bytes into a directory, for another member to import. */
  export(directory: string): Promise<ArchiveFacts> {
    const { disk, replica, rows, cluster, site } = this.#deps;
    const heads = () => this.#heads();
    const deps = { disk, replica, rows, cluster, site, heads };
    return writeArchive(deps, directory, this.#stop.signal);
  }

  /**
   * Takes over what another member has written into a directory; undefined when rows are being
   * taken over already. Interrupted, it goes on when it is asked for again.
   */
  async import(directory: string): Promise<BootstrapProgress | undefined> {
    if (this.#running !== undefined) return undefined;
    const work = this.#import(directory);
    // At once: while the directory is opened nobody else may begin.
    this.#running = work.then(
      () => undefined,
      () => undefined,
    );
    try {
      return await work;
    } finally {
      this.#running = undefined;
    }
  }

  async #import(directory: string): Promise<BootstrapProgress> {
    const { disk, replica, hash, cluster } = this.#deps;
    const { rows, bodies } = await openArchive(disk, directory, cluster());
    const from = {
      ...{ replica, hash, sources: () => [bodies], fetched: () => undefined },
      lied: (_site: SiteId, lie: Error) => {
        throw new StorageFault("corrupt", `the directory is damaged: ${lie.message}`, {
          hint: "Copy it once more from where it was written, and import it again.",
          cause: lie,
        });
      },
    };
    return await this.#takeOver(rows, ({ manifests }, first, signal) =>
      fetchBody(from, manifests, first, signal),
    );
  }

  async #takeOver(source: RowSource, fetchFor: RowsEngine["fetch"]): Promise<BootstrapProgress> {
    const { rows, clock, log, own } = this.#deps;
    const run = new BootstrapRun(
      {
        ...{ rows, clock, log, own },
        fetch: (manifests, site, signal) =>
          fetchFor({ kind: "manifests", manifests }, site, signal),
      },
      source,
    );
    this.#run = run;
    this.#isTaking = true;
    try {
      await run.run(this.#stop.signal);
    } finally {
      this.#isTaking = false;
    }
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
    // A step reads, and mends what it finds: one that broke off is simply done again.
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

  #heads(): readonly LogStart[] | { readonly problem: string } {
    const { rows, replica } = this.#deps;
    if (this.isTakingOver) return { problem: "this site takes over rows itself" };
    if (replica.parked().length > 0) {
      return { problem: "bytes of some operations are not here yet" };
    }
    return rows.heads();
  }

  #begin(site: SiteId, merges: boolean): void {
    this.#running = this.#untilDone(site, merges).finally(() => {
      this.#running = undefined;
    });
  }

  /**
   * Tries again and again: an interruption costs a step, not the bootstrap. Between tries that have
   * brought nothing yet this site gives its own rows, so that of two that want each other's one
   * goes first. A merge that nobody asked for is given up then: the peer's next answer begins it.
   */
  async #untilDone(site: SiteId, merges: boolean): Promise<void> {
    const { clock, random, log, peers } = this.#deps;
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; failures++) {
      // Whose source was removed begins anew from another member: it can do nothing else.
      const others = peers();
      const peer = others.find(({ id }) => id === site) ?? others[failures % others.length];
      try {
        if (peer === undefined) throw new Error("there is no other member");
        const calls = this.#callsTo(peer);
        const source: RowSource = {
          site: peer.id,
          start: (lease, until) => calls.start(lease, until),
          rows: (request, until) => calls.rows(request, until),
          ...(merges ? { merges } : {}),
        };
        const done = await this.#takeOver(source, (...wish) => this.#deps.engine().fetch(...wish));
        this.#needsRows.delete(peer.id);
        log.info({ peer: peer.id, ...done }, "all rows of a peer have been taken over");
        return;
      } catch (failure) {
        if (signal.aborted) return;
        const message = failure instanceof Error ? failure.message : String(failure);
        const from = peer?.id ?? site;
        if (merges && this.#deps.rows.bootstrap() === undefined) {
          if (message !== this.#whyNotMerged) {
            log.info({ peer: from, failure: message }, "a peer's rows are to be taken over later");
          }
          this.#whyNotMerged = message;
          return;
        }
        log.warn({ peer: from, failure: message }, "a bootstrap was interrupted; it goes on");
        await clock.sleep(backoffMs(random, failures + 1), signal).catch(() => undefined);
      }
    }
  }

  #callsTo(peer: SiteRecord): RowCalls {
    const { ask, clock, bytesPerSecond } = this.#deps;
    return new RowCalls({ ask, bandwidth: new Bandwidth(clock, bytesPerSecond) }, peer);
  }

  #fetch(
    manifests: Extract<BodyRef, { kind: "manifests" }>["manifests"],
    site: SiteId,
    signal: AbortSignal,
  ): Promise<FetchedBody> {
    return this.#deps.engine().fetch({ kind: "manifests", manifests }, site, signal);
  }

  /** Right bytes for damaged ones, of the first peer that has them. */
  async #rightBytes(damage: Damage): Promise<Uint8Array | undefined> {
    const patience = new AbortController();
    const cancel = this.#deps.clock.after(REPAIR_MS_MAX, () => patience.abort());
    const { passedOver } = this.#deps.engine();
    try {
      for (const calls of this.#deps.engine().callsOf()) {
        try {
          const bytes = await this.#askFor(calls, damage, patience.signal);
          passedOver.asked(calls.site, "right bytes", undefined);
          if (bytes !== undefined) return bytes;
        } catch (failure) {
          passedOver.asked(calls.site, "right bytes", failure);
          if (patience.signal.aborted) return undefined;
        }
      }
      return undefined;
    } finally {
      cancel();
    }
  }

  async #askFor(
    calls: PeerCalls,
    damage: Damage,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    if (damage.kind === "inline") return await this.#askForInline(calls.peer, damage, signal);
    const { hash, bytes } = damage;
    const whole = Buffer.allocUnsafe(bytes);
    for (let filled = 0; filled < bytes; ) {
      const wish = { hash, offset: filled, bytes: bytes - filled, manifest: hash };
      const piece = await calls.chunk(wish, signal);
      if (piece === undefined) return undefined;
      whole.set(piece, filled);
      filled += piece.length;
    }
    return whole;
  }

  async #askForInline(
    peer: SiteRecord,
    { object }: Extract<Damage, { kind: "inline" }>,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const positions = positionsOfVersion(object);
    const [from = ""] = positions;
    const range = { from, to: `${positions.at(-1)}\0` };
    const wish = { range, positions, bodies: true, bytesMax: LIMITS.replicationPageBytes };
    const page = await this.#callsTo(peer).rows(wish, signal);
    const found = page.entries.find(({ encoded }) => {
      const { hlc, dot } = decodeOperation(encoded);
      return makeVersionId(hlc, dot.origin) === object.version;
    });
    return found?.inline;
  }
}

const NOBODY: Promise<undefined> = Promise.resolve(undefined);
