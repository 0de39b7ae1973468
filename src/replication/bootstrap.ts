import { LIMITS } from "../core/limits.ts";
import type { OriginId, Seq, SiteId } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { LogStart, ManifestRef, RowName } from "../core/records.ts";
import { compareUtf8 } from "../core/utf8-order.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Bootstrap, ImportStep, IncomingRow, LogicalRows } from "../storage/logical-rows.ts";
import type { LogEntry } from "../storage/replica.ts";
import { positionOfRow } from "../storage/row-operations.ts";
import type { FetchedBody } from "./body-fetch.ts";
import { bodyBytesOf } from "./lag-counter.ts";
import { saysRemoved } from "./peer-fault.ts";
import { PeerLie } from "./peer-lie.ts";
import { ownFrom, removedThere } from "./removed-there.ts";
import { rowAt } from "./row-at.ts";
import {
  discardAll,
  type FoundBody,
  namesBodies,
  type ReadRow,
  RowBodies,
  saysOfBucket,
} from "./row-bodies.ts";
import { type RowCalls, RowRefusal } from "./row-calls.ts";
import { type RowSum, timeLeftMs } from "./time-left.ts";

/** Where rows are taken over from: a peer, or a directory that one has written. */
export type RowSource = Pick<RowCalls, "start" | "rows"> & {
  readonly site: SiteId;
  /** It brings all bytes along: none are left for later, whatever the setting of their bucket. */
  readonly hasBodies?: true;
  /** This site had all of its data before, and merges the rows of the source. */
  readonly merges?: true;
};

export type BootstrapDeps = {
  readonly rows: LogicalRows;
  readonly clock: Clock;
  readonly log: Log;
  /** This site's own origin, whose log goes on where it is, or not at all. */
  readonly own: () => OriginId;
  readonly setBacks?: SetBacks | undefined;
  /** Fetches the chunks of a large body that are missing here. */
  readonly fetch: (
    refs: readonly ManifestRef[],
    source: SiteId,
    signal: AbortSignal,
  ) => Promise<FetchedBody>;
};

/** A source may know more of this site's own log, or something else: then this site begins anew. */
export type SetBacks = {
  /** From where on its log has to end; undefined when the source knows nothing else. */
  readonly find: (heads: readonly LogStart[]) => Promise<Seq | undefined>;
  /** Has this site stop, and begin anew at its next start. */
  readonly beginAnew: (source: SiteId, from: Seq) => void;
};

/** How a bootstrap stands; times in milliseconds. */
export type BootstrapProgress = {
  readonly site: SiteId;
  /** `refused`: nobody lets this site take over rows, for it was removed from its cluster. */
  readonly state: "running" | "done" | "failed" | "refused";
  readonly rows: number;
  /** About how many rows there are in all. */
  readonly rowsTotal: number;
  /** Bytes of rows and bodies that have been taken over since the last start. */
  readonly bytes: number;
  /** Rows of this site that were removed at the other one. */
  readonly removed: number;
  /** Rows that the other site could not give. */
  readonly skipped: number;
  readonly elapsedMs: number;
  /** Undefined while nothing can be said. */
  readonly leftMs: number | undefined;
  readonly failure: string | undefined;
};

/** The lease of a bootstrap for which no site has given one yet. */
export const NO_LEASE = "";

/** Behind the last row of all. */
const END = "E";
/** The most that one commit brings in: bytes of bodies beside the log, and bytes of rows in it. */
const STEP_BODY_BYTES = 64 * 1024 * 1024;
const STEP_BYTES = 2 * 1024 * 1024;
/** Rows of this site that are compared in one turn. */
const OWN_ROWS_PER_TURN = 2000;
const REMOVED_AT_ONCE = 1000;
/** How often rows are taken over whose bytes go away meanwhile, until they are left out. */
const IMPORT_TRIES = 3;

type Gathered = {
  readonly incoming: IncomingRow[];
  /** Positions of the rows that the other site sent since the last commit. */
  readonly there: Set<string>;
  bytes: number;
  bodyBytes: number;
  /** Of the bodies of all rows among them, here or not. */
  metBytes: number;
  /** A setting came that may make a bucket metadata-first, or end that: large bodies wait. */
  saysOfBuckets: boolean;
};

/**
 * Takes over all rows of another site, with their bytes. A row that is here and not there was
 * removed there if that site had applied it, and is removed here too; one that it had not applied
 * stays, and reaches it by the log. Each step is one commit that records how far it has come, so an
 * interruption costs at most a step. When the lease has ended, the bootstrap begins anew.
 */
export class BootstrapRun {
  readonly #deps: BootstrapDeps;
  readonly #source: RowSource;
  readonly #rowBodies: RowBodies;
  readonly #startedMs: number;
  #state: BootstrapProgress["state"] = "running";
  #failure: string | undefined;
  #rows = 0;
  #rowsBefore = 0;
  #total: RowSum = { rows: 0, bytes: 0 };
  /** Bytes of the bodies of rows that were met since the last start, also of those held here. */
  #metBytes = 0;
  #bytes = 0;
  #removed = 0;
  /** Rows that were removed or replaced while they were asked for. */
  #gone = 0;
  /** Positions of rows whose bytes could not be had, and that are still to come. */
  #owed: readonly string[] = [];

  constructor(deps: BootstrapDeps, source: RowSource) {
    this.#deps = deps;
    this.#source = source;
    this.#rowBodies = new RowBodies(deps, source);
    this.#startedMs = deps.clock.monotonicMs();
  }

  /** How it stands now. */
  progress(): BootstrapProgress {
    const elapsedMs = this.#deps.clock.monotonicMs() - this.#startedMs;
    const since = { rows: this.#rows - this.#rowsBefore, bytes: this.#metBytes };
    return {
      ...{ site: this.#source.site, state: this.#state, failure: this.#failure },
      ...{ rows: this.#rows, rowsTotal: Math.max(this.#rows, this.#total.rows) },
      ...{ bytes: this.#bytes, removed: this.#removed, elapsedMs },
      skipped: this.#gone + this.#owed.length,
      leftMs: timeLeftMs({
        ...{ total: this.#total, rowsBefore: this.#rowsBefore, since, elapsedMs },
      }),
    };
  }

  /**
   * Runs until everything is here, or something fails that another try may mend: then it rejects,
   * and a later run goes on where this one stood.
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#takeAll(signal);
      this.#state = "done";
    } catch (failure) {
      this.#state = saysRemoved(failure) ? "refused" : "failed";
      this.#failure = failure instanceof Error ? failure.message : String(failure);
      if (saysRemoved(failure)) this.#failure += `. ${failure.hint ?? ""}`;
      throw failure;
    }
  }

  async #takeAll(signal: AbortSignal): Promise<void> {
    let progress = await this.#begin(signal);
    await this.#lookForSetBack(progress);
    this.#owed = progress.owed ?? [];
    this.#rowsBefore = progress.rows;
    this.#rows = progress.rows;
    while (progress.position !== END) {
      signal.throwIfAborted();
      progress = await this.#takePage(progress, signal);
    }
    const { rows, own } = this.#deps;
    await rows.setFloors(progress.heads.filter(({ origin }) => origin !== own()));
  }

  /**
   * Looks before a row is removed because the source lacks it: what this site wrote since it was
   * set back is issued again first, with its bytes. The next start goes on with this bootstrap
   * under a new origin, and what was its own is one of the others then.
   */
  async #lookForSetBack(progress: Bootstrap): Promise<void> {
    const { rows, setBacks } = this.#deps;
    const from = await setBacks?.find(progress.heads);
    if (from === undefined) return;
    await rows.import({ rows: [], removed: [], progress, rewrite: false });
    setBacks?.beginAnew(this.#source.site, from);
    throw new Error(SET_BACK);
  }

  /**
   * Where to begin: where the last run stopped, as long as the other site still keeps what that
   * rests on.
   */
  async #begin(signal: AbortSignal): Promise<Bootstrap> {
    const { site } = this.#source;
    const before = this.#deps.rows.bootstrap();
    if (before?.site === site && before.lease !== NO_LEASE) {
      try {
        const renewed = await this.#source.start(before.lease, signal);
        this.#total = renewed;
        return before;
      } catch (failure) {
        if (!(failure instanceof RowRefusal) || failure.status !== 410) throw failure;
        this.#deps.log.info({ peer: site }, "the bootstrap begins anew: its lease has ended");
      }
    }
    const started = await this.#source.start(undefined, signal);
    const { lease, heads, settled } = started;
    this.#total = started;
    const { merges } = this.#source;
    const merge = merges === undefined ? {} : { merges };
    const progress = { site, lease, position: "", rows: 0, heads, ...merge };
    if (settled.length > 0) {
      await this.#deps.rows.import({ rows: [], removed: [], settled, progress, rewrite: false });
    }
    return progress;
  }

  async #takePage(progress: Bootstrap, signal: AbortSignal): Promise<Bootstrap> {
    const { position: from, lease } = progress;
    const page = await this.#source.rows(
      { range: { from, to: undefined }, positions: [], bodies: true, ...PAGE },
      signal,
    );
    const last = page.next ?? END;
    const entries = page.entries.map((entry) => this.#read(entry, { from, last }));
    let gathered = emptyStep();
    for (const position of page.refused) gathered.there.add(position);
    let at = this.#owe(progress, page.refused);
    const bodies = this.#rowBodies.ahead(entries, signal);
    try {
      for (const [number, row] of entries.entries()) {
        const { operation, position } = row;
        if (isFull(gathered) || (gathered.saysOfBuckets && namesBodies(operation))) {
          at = await this.#commit(at, gathered, position, signal);
          const refused = page.refused.filter((one) => compareUtf8(one, position) >= 0);
          gathered = { ...emptyStep(), there: new Set(refused) };
          // A step with large bodies takes a while: renewing the lease shows the other site that we
          // are still there.
          await this.#source.start(lease, signal);
        }
        const found = await bodies.take(number, row, !gathered.saysOfBuckets);
        gathered.metBytes += bodyBytesOf(operation);
        this.#gather(gathered, row, found);
      }
      return await this.#commit(at, gathered, last, signal);
    } catch (failure) {
      for (const { manifests } of gathered.incoming) discardAll(manifests);
      throw failure;
    } finally {
      await bodies.end();
    }
  }

  #read(entry: LogEntry, { from, last }: { from: string; last: string }): ReadRow {
    const operation = decodeOperation(entry.encoded);
    const position = positionOfRow(operation);
    if (position === undefined) throw new PeerLie("a row is no row");
    if (compareUtf8(position, from) < 0 || compareUtf8(position, last) >= 0) {
      throw new PeerLie("a row stands outside its page");
    }
    return { entry, operation, position };
  }

  #gather(gathered: Gathered, { entry, operation, position }: ReadRow, found: FoundBody): void {
    gathered.there.add(position);
    if (found === "here") return;
    if (saysOfBucket(operation)) gathered.saysOfBuckets = true;
    if (found === "remote") {
      gathered.incoming.push({ ...entry, manifests: [], remote: true });
      gathered.bytes += entry.encoded.length;
      return;
    }
    if (found.outcome === "unreachable") throw new Error(found.reason);
    if (found.outcome === "gone") {
      // It was removed or replaced there meanwhile; what did so will come by the log.
      this.#gone += 1;
      this.#deps.log.warn({ position }, "the bytes of a row are not there any more");
      return;
    }
    gathered.incoming.push({ ...entry, manifests: found.manifests });
    gathered.bytes += entry.encoded.length + (entry.inline?.length ?? 0);
    for (const { staged } of found.manifests) gathered.bodyBytes += staged?.bytes ?? 0;
  }

  /** Commits what was gathered, and removes rows that were removed there, up to a position. */
  async #commit(
    progress: Bootstrap,
    gathered: Gathered,
    position: string,
    signal: AbortSignal,
  ): Promise<Bootstrap> {
    const { rows, clock } = this.#deps;
    const next = { ...progress, position, rows: progress.rows + gathered.there.size };
    const removed: RowName[] = [];
    const span = { from: progress.position, to: position, there: gathered.there };
    for (let from: string | undefined = ownFrom(progress.position); from !== undefined; ) {
      const step = rows.read({ from, to: position }, OWN_ROWS_PER_TURN);
      for (const row of step.rows) {
        if (gathered.there.has(row.position)) continue;
        const names = removedThere(row, span, progress.heads);
        if (names.length > 0) this.#removed += 1;
        removed.push(...names);
      }
      from = step.next;
      if (removed.length >= REMOVED_AT_ONCE) {
        const some = { rows: [], removed: removed.splice(0), progress: undefined, rewrite: false };
        await rows.import(some);
      }
      if (from !== undefined) await clock.sleep(0);
    }
    const after = await this.#import(gathered, { removed, progress: next }, signal);
    this.#rows = after.rows;
    this.#metBytes += gathered.metBytes;
    this.#bytes += gathered.bytes + gathered.bodyBytes;
    return after;
  }

  /** Remembers rows that are left out for now, so that nobody takes them for removed. */
  #owe(progress: Bootstrap, positions: readonly string[]): Bootstrap {
    const lacking = positions.filter((at) => rowAt(this.#deps.rows, at) === undefined);
    for (const position of lacking) {
      this.#deps.log.warn({ position }, "a row is left out: its bytes are damaged there");
    }
    this.#owed = [...new Set([...(progress.owed ?? []), ...lacking])];
    if (this.#owed.length > LIMITS.rowsOwedMax) throw new Error("too many rows are damaged there");
    return this.#owed.length === 0 ? progress : { ...progress, owed: this.#owed };
  }

  /**
   * Takes over what was gathered. Rows whose bytes have gone since they were found here, with what
   * else had named them, are gathered once more.
   */
  async #import(
    gathered: Gathered,
    {
      removed,
      progress,
    }: { readonly removed: ImportStep["removed"]; readonly progress: Bootstrap },
    signal: AbortSignal,
  ): Promise<Bootstrap> {
    const { rows } = this.#deps;
    for (let tries = 1; ; tries++) {
      const incoming = gathered.incoming.splice(0);
      const { refused } = await rows.import({ rows: incoming, removed, progress, rewrite: false });
      if (refused.some(({ why }) => why === "clock")) {
        throw new Error("a row's clock is far ahead; mend the clocks first");
      }
      if (refused.length === 0) return progress;
      if (tries === IMPORT_TRIES) {
        const left = refused.map(({ operation }) => positionOfRow(operation) ?? "");
        const after = this.#owe(progress, left);
        await rows.import({ rows: [], removed: [], progress: after, rewrite: false });
        return after;
      }
      for (const { row, operation } of refused) {
        const { encoded, inline } = row;
        const position = positionOfRow(operation) ?? "";
        const again = { entry: { encoded, inline }, operation, position };
        this.#gather(gathered, again, await this.#rowBodies.find(again, signal));
      }
    }
  }
}

const SET_BACK = "this site was set back: it begins anew, and then goes on with it";
const PAGE = { bytesMax: LIMITS.replicationPageBytes } as const;

function emptyStep(): Gathered {
  return {
    incoming: [],
    there: new Set(),
    bytes: 0,
    bodyBytes: 0,
    metBytes: 0,
    saysOfBuckets: false,
  };
}

function isFull({ bytes, bodyBytes }: Gathered): boolean {
  return bodyBytes >= STEP_BODY_BYTES || bytes >= STEP_BYTES;
}
