import { StorageFault } from "../core/faults.ts";
import { HlcClock } from "../core/hlc.ts";
import type { OriginId, SiteId } from "../core/names.ts";
import type { Hash } from "../ports/hash.ts";
import { ChainedEntry } from "./chained-entry.ts";
import type { LoggedOperation } from "./log-batch.ts";
import type { OpenedStore } from "./open-store.ts";
import { ReissuedOperations } from "./reissued-operations.ts";
import type { IncomingOperation, Replica } from "./replica.ts";
import { parseSegmentName, segmentName } from "./segment/segments.ts";
import {
  endWithdrawing,
  freshOrigin,
  noteWithdrawing,
  type SiteIdentity,
} from "./site-identity.ts";
import type { SitePorts } from "./site-ports.ts";
import { CannotWithdraw, Withdrawals } from "./withdrawn.ts";
import type { Withdrawing } from "./withdrawn-fields.ts";

export type ReissueSettings = {
  /** The data directory. */
  readonly directory: string;
  /** Opens the store as it is, or with an index made anew that leaves out what is withdrawn. */
  readonly open: (identity: SiteIdentity, withdrawals?: Withdrawals) => Promise<OpenedStore>;
};

/** So much is issued again at once. */
const ROUND_BYTES = 4 * 1024 * 1024;
const ROUND_OPERATIONS = 500;

/**
 * Withdraws operations that no other site will ever take, and issues them again as a new
 * incarnation, whose first operations they become. Until that is done nothing else is written, and
 * a start that was cut off begins again: what it had written lies in segments of its own.
 *
 * The store goes on under the old incarnation meanwhile, so that its operations come in as those of
 * any other site do, and what they mean for others is judged by the same rules. The index that this
 * needs is thrown away afterwards: the one to come follows from the log alone.
 *
 * @returns who the site is from now on.
 * @throws CannotWithdraw when that was asked for and what was before them has been dropped;
 * StorageFault "corrupt", "io", "disk-full": the next start tries again.
 */
export async function reissueWithdrawn(
  ports: SitePorts,
  settings: ReissueSettings,
  { identity, withdrawing }: { identity: SiteIdentity; withdrawing: Withdrawing },
): Promise<SiteIdentity> {
  const { disk, random } = ports;
  const { directory } = settings;
  const { attempt } = withdrawing;
  const into = attempt?.into ?? freshOrigin(random);
  if (attempt === undefined && !(await isAnyHere(settings, identity, withdrawing))) {
    return endWithdrawing(disk, directory, identity, { into, withdrawn: identity.withdrawn });
  }
  const through = await lastSegment(ports, directory, attempt?.through);
  const begun = { ...withdrawing, attempt: { into, through } };
  const beginning = await noteWithdrawing(disk, directory, identity, begun);
  const withdrawals = new Withdrawals(identity.withdrawn, withdrawing.from);
  const opened = await openWithout(settings, beginning, withdrawals);
  if (opened instanceof CannotWithdraw) {
    return withdrawNothing(ports, directory, { identity, withdrawing, why: opened });
  }
  const first = new Map<OriginId, Uint8Array>();
  try {
    const { replica } = opened.store;
    const clock = new HlcClock(() => ports.clock.nowMs(), opened.store.stats().hlc);
    const nextHlc = withdrawing.times === "new" ? () => clock.next() : undefined;
    const { hash } = ports;
    // Their chains are met on the way, and nothing that is issued says them.
    const withdrawn = withdrawals.settled(through, first);
    const operations = new ReissuedOperations({ into, withdrawn, nextHlc, hash });
    const own = { withdrawals, through, site: identity.siteId, first, hash };
    const issued = await issueAgain(replica, operations, opened.withdrawing, own);
    ports.log.warn(issued, "operations that no other site would take were issued again");
  } finally {
    await opened.store.close();
  }
  await removeIndex(disk, directory);
  const withdrawn = withdrawals.settled(through, first);
  return endWithdrawing(disk, directory, identity, { into, withdrawn });
}

async function openWithout(
  { open }: ReissueSettings,
  identity: SiteIdentity,
  withdrawals: Withdrawals,
): Promise<OpenedStore | CannotWithdraw> {
  try {
    return await open(identity, withdrawals);
  } catch (failure) {
    if (failure instanceof CannotWithdraw) return failure;
    throw failure;
  }
}

/**
 * Withdraws nothing. Who was set back begins anew all the same; who asked for it hears why not, and
 * goes on as before.
 *
 * @throws CannotWithdraw when it was asked for.
 */
async function withdrawNothing(
  { disk, random, log }: SitePorts,
  directory: string,
  { identity, withdrawing, why }: NotWithdrawn,
): Promise<SiteIdentity> {
  if (withdrawing.times === "new") {
    await noteWithdrawing(disk, directory, identity, undefined);
    throw why;
  }
  const hint = "copy over S3 what only this site shows, then run `atoll repl-bootstrap`";
  log.error({ failure: why.message, hint }, "what was written since cannot be issued again");
  const into = freshOrigin(random);
  return endWithdrawing(disk, directory, identity, { into, withdrawn: identity.withdrawn });
}

type NotWithdrawn = {
  readonly identity: SiteIdentity;
  readonly withdrawing: Withdrawing;
  readonly why: CannotWithdraw;
};

/** Whether there is anything to withdraw: a site may only have lost the end of its log. */
async function isAnyHere(
  { open }: ReissueSettings,
  identity: SiteIdentity,
  { from }: Withdrawing,
): Promise<boolean> {
  const { store } = await open(identity);
  const received = store.replica.received();
  await store.close();
  return from.some((one) => (received.get(one.origin)?.seq ?? 0) >= one.from);
}

/** What the index of a withdrawal counts holds for its moment only: the next one is made anew. */
async function removeIndex(disk: SitePorts["disk"], directory: string): Promise<void> {
  await disk.removeTree(`${directory}/index`);
  await disk.makeDirectory(`${directory}/index`);
  const checkpoints = `${directory}/checkpoint`;
  for (const name of await disk.list(checkpoints)) {
    await disk.removeTree(`${checkpoints}/${name}`);
  }
  await disk.syncDirectory(checkpoints);
  await disk.syncDirectory(directory);
}

/** The last segment of before; what an attempt that was cut off wrote behind it is removed. */
async function lastSegment(
  { disk }: Pick<SitePorts, "disk">,
  directory: string,
  through: number | undefined,
): Promise<number> {
  const segments = `${directory}/segments`;
  const ids = (await disk.list(segments)).map(parseSegmentName).filter((id) => id !== undefined);
  if (through === undefined) return Math.max(0, ...ids);
  for (const id of ids) if (id > through) await disk.remove(`${segments}/${segmentName(id)}`);
  await disk.syncDirectory(segments);
  return through;
}

type Own = {
  readonly withdrawals: Withdrawals;
  readonly through: number;
  readonly site: SiteId;
  /** The chain behind the first operation of each log, once it has been met. */
  readonly first: Map<OriginId, Uint8Array>;
  readonly hash: Pick<Hash, "digest">;
};

/** Operations that every site applies all or none, or a single one. */
type Unit = LoggedOperation[];

/** What is withdrawn among the operations of batches, which hold others as well. */
async function* unitsOf(
  batches: AsyncIterable<LoggedOperation>,
  { withdrawals, through, first, hash }: Own,
): AsyncIterable<Unit> {
  let unit: Unit = [];
  for await (const logged of batches) {
    const { dot, group } = logged.operation;
    if (!withdrawals.covers(dot, through)) continue;
    if (!first.has(dot.origin)) first.set(dot.origin, new ChainedEntry(hash, logged).chain);
    const before = unit.at(-1)?.operation.group;
    if (unit.length > 0 && (before === undefined || before.id !== group?.id)) {
      yield unit;
      unit = [];
    }
    unit.push(logged);
  }
  if (unit.length > 0) yield unit;
}

async function issueAgain(
  replica: Replica,
  operations: ReissuedOperations,
  batches: AsyncIterable<LoggedOperation>,
  own: Own,
): Promise<{ readonly operations: number; readonly leftOut: number }> {
  const sums = { operations: 0, leftOut: 0 };
  let round: IncomingOperation[] = [];
  let bytes = 0;
  for await (const unit of unitsOf(batches, own)) {
    const left = unit.filter((one) => mayBeIssued(replica, one, own.site));
    for (const { operation, inline } of unit) {
      if (!left.some((one) => one.operation === operation)) {
        operations.pass(operation);
        continue;
      }
      // Half of a group is no group: nobody could take it.
      const group = left.length === unit.length ? operation.group : undefined;
      const encoded = operations.next({ ...operation, group });
      round.push({ encoded, inline, state: { kind: "whole", manifests: [] } });
      bytes += encoded.length + (inline?.length ?? 0);
    }
    sums.operations += left.length;
    sums.leftOut += unit.length - left.length;
    if (bytes < ROUND_BYTES && round.length < ROUND_OPERATIONS) continue;
    await take(replica, round);
    round = [];
    bytes = 0;
  }
  await take(replica, round);
  return sums;
}

async function take(replica: Replica, round: readonly IncomingOperation[]): Promise<void> {
  const outcomes = await replica.ingest(round, []);
  for (const outcome of outcomes) {
    if (outcome.outcome !== "refused") continue;
    throw new StorageFault("corrupt", `an operation cannot be issued again: ${outcome.message}`);
  }
}

function mayBeIssued(
  replica: Replica,
  { operation: { body }, damagedAt }: LoggedOperation,
  site: SiteId,
): boolean {
  // What a site says of itself it says anew at each start.
  if (body.kind === "site-put") return body.site.id !== site;
  if (damagedAt !== undefined) return false;
  if (body.kind !== "object-put" || body.object.body.kind !== "manifests") return true;
  // Bytes that are gone were of a version that had been removed or overwritten by then.
  return body.object.body.manifests.every(({ hash }) => {
    const chunks = replica.manifest(hash);
    return chunks?.every((chunk) => replica.hasChunk(chunk.hash)) === true;
  });
}
