import { type AppliedSet, type Hole, missingRanges } from "../../../src/core/applied-set.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { hlcMs } from "../../../src/core/hlc.ts";
import type { BucketName, OriginId, Seq } from "../../../src/core/names.ts";
import type { Dot, Operation, Vector } from "../../../src/core/records.ts";
import type { Hash } from "../../../src/ports/hash.ts";
import type { LogicalRow } from "../../../src/storage/logical-rows.ts";
import type { OriginHead } from "../../../src/storage/replica.ts";
import { encodeLogicalRow } from "../../../src/storage/row-operations.ts";
import { readRows } from "../../../src/storage/row-walk.ts";
import type { Store, StoredObject } from "../../../src/storage/store.ts";
import { BrokenPromise } from "../store-check.ts";
import {
  bodyOf,
  type Contents,
  describe,
  etagsOf,
  listVersions,
  readWhole,
  writerOf,
} from "./client-words.ts";
import type { Running } from "./cluster-machine.ts";
import { ClusterModel, showLock } from "./cluster-model.ts";
import type { ForgottenDeletes } from "./forgotten-deletes.ts";
import type { LogObserver } from "./log-observer.ts";
import { canRead, checkElsewhere } from "./rows-first.ts";

/** A site as the checkers look at it. */
export type Looked = { readonly name: string; readonly running: Running };

const ROWS_PER_STEP = 64;

/** Everything the sites have agreed about, one line per row, without facts of one site alone. */
function canonicalDump({ kv }: Running, { hash, aged }: Agreement): string[] {
  const lines: string[] = [];
  const rows: LogicalRow[] = [];
  let from: string | undefined = "";
  while (from !== undefined) {
    const step = readRows({ kv, hash }, { from, to: undefined }, ROWS_PER_STEP);
    rows.push(...step.rows);
    from = step.next;
  }
  for (const row of rows) {
    if (aged && isForgotten(row.operation)) continue;
    const position = row.position.replaceAll("\0", "|");
    lines.push(`${position} ${describe(row.operation)} ${toHex(encodeLogicalRow(row))}`);
  }
  return lines;
}

/** What only says that something is gone. */
function isForgotten({ body }: Operation): boolean {
  if (body.kind === "object-delete") return body.nullSlot && !body.nullMarker;
  return body.kind === "version-delete";
}

/** Throws what one of two lists of lines has and the other has not. */
function checkSame(what: string, left: readonly string[], right: readonly string[]): void {
  const one = new Set(left);
  const other = new Set(right);
  const onlyLeft = left.filter((line) => !other.has(line));
  const onlyRight = right.filter((line) => !one.has(line));
  if (onlyLeft.length + onlyRight.length === 0) {
    if (left.join("\n") === right.join("\n")) return;
    throw new BrokenPromise(`${what}: the same in another order, or not as often`);
  }
  const show = (lines: readonly string[]): string =>
    lines
      .slice(0, 4)
      .map((line) => line.slice(0, 200))
      .join("; ");
  throw new BrokenPromise(`${what}: [${show(onlyLeft)}] against [${show(onlyRight)}]`);
}

/** Why the sites do not stand at the same place yet; undefined when they do. */
export function apart(sites: readonly Looked[], observer: LogObserver): string | undefined {
  const [first, ...others] = sites.map((site) => [site.name, positionsOf(site)] as const);
  if (first === undefined) return undefined;
  for (const { name, running } of sites) {
    const parked = running.site.store.replica
      .parked()
      .filter(({ dot }) => !isLostEverywhere(dot, sites, observer));
    if (parked.length > 0) return `${name} has parked ${parked.map(({ reason }) => reason)}`;
  }
  for (const [name, positions] of others) {
    if (positions !== first[1]) return `${first[0]} at ${first[1]}, ${name} at ${positions}`;
  }
  return undefined;
}

/**
 * Whether an operation waits at every site for bytes that were lost with the site that wrote it: it
 * waits for ever, is told of, and nothing else waits for it.
 */
function isLostEverywhere(
  { origin, seq }: Dot,
  sites: readonly Looked[],
  observer: LogObserver,
): boolean {
  return sites.every(({ running: { site } }) => {
    const { store } = site;
    const isBurnt =
      observer.wasSetBack(origin) ||
      store.sites().some(({ removedOrigins }) => removedOrigins.includes(origin));
    const parked = store.replica.parked();
    return isBurnt && parked.some(({ dot }) => dot.origin === origin && dot.seq === seq);
  });
}

function positionsOf({ running }: Looked): string {
  const { replica } = running.site.store;
  const received = [...replica.received()].map(
    ([origin, { seq, chain }]) => `${origin.slice(0, 4)}:${seq}:${toHex(chain).slice(0, 4)}`,
  );
  const applied = [...replica.applied()].map(([origin, seq]) => `${origin.slice(0, 4)}:${seq}`);
  return `${received.sort().join(" ")} applied ${applied.sort().join(" ")}`;
}

/** How far the sites' logs reach together. */
export function furthest(sites: readonly Looked[]): Map<OriginId, Seq> {
  return new Map([...headsOf(sites)].map(([origin, { seq }]) => [origin, seq]));
}

/** Where the sites' logs end. */
export function headsOf(sites: readonly Looked[]): Map<OriginId, OriginHead> {
  const heads = new Map<OriginId, OriginHead>();
  for (const { running } of sites) {
    for (const [origin, head] of running.site.store.replica.received()) {
      if ((heads.get(origin)?.seq ?? 0) < head.seq) heads.set(origin, head);
    }
  }
  return heads;
}

export type Agreement = {
  readonly hash: Hash;
  readonly observer: LogObserver;
  readonly contents: Contents;
  /** Whether time has passed after which sites forget what was deleted, each at its own pace. */
  readonly aged: boolean;
  /** Whether a site is gone, or was set back, that may have had bytes alone. */
  readonly mayLose: boolean;
  /** Whether a write was taken back because its bytes had burnt with a site. */
  readonly isGivenUp: (dot: Dot) => boolean;
  /** Deletes of which the sites may know, or not. */
  readonly forgotten: ForgottenDeletes;
  /** Whether rows of a site that is gone may be here of which no log tells any more. */
  readonly halfTaken: boolean;
};

/** What a site said that it had applied, it has. */
export function checkWord(what: string, told: AppliedSet, has: AppliedSet): void {
  for (const [origin, { upTo }] of [...atEnds(told.applied), ...told.holes]) {
    const said = missingRanges(told, origin, upTo);
    for (const [first, last] of missingRanges(has, origin, upTo)) {
      for (let seq = first; seq <= last; seq++) {
        if (said.some(([from, to]) => from <= seq && seq <= to)) continue;
        throw new BrokenPromise(`${what} of ${origin} ${seq}, which it has not applied`);
      }
    }
  }
}

function atEnds(vector: Vector): Array<readonly [OriginId, Pick<Hole, "upTo">]> {
  return [...vector].map(([origin, upTo]) => [origin, { upTo }]);
}

type Looking = Agreement & { readonly sites: readonly Looked[] };

/** After everything has healed: all sites say the same, and it is what was written. */
export async function checkAgreement(sites: readonly Looked[], deps: Agreement): Promise<string> {
  const [first] = sites;
  if (first === undefined) return "";
  const dump = canonicalDump(first.running, deps);
  for (const other of sites.slice(1)) {
    const what = `${first.name} and ${other.name}`;
    checkSame(what, dump, canonicalDump(other.running, deps));
  }
  if (deps.halfTaken) return dump.join("\n");
  const isLost = (dot: Dot): boolean =>
    deps.isGivenUp(dot) || isLostEverywhere(dot, sites, deps.observer);
  checkLost(sites, deps.observer);
  const model = new ClusterModel(deps.observer.all, isLost);
  const models = { model, without: modelWithout(deps, isLost) ?? model };
  const misplaced = model.misplaced(deps.observer.all);
  if (misplaced !== undefined) throw new BrokenPromise(misplaced);
  for (const site of sites) {
    checkSame(`keys of ${site.name}`, showKeys(site.running.site.store), model.accessKeys());
    await checkStore(site, models, { ...deps, sites });
  }
  return dump.join("\n");
}

/** What is right as well: deletes that a site may have forgotten were never made. */
function modelWithout(
  { observer, forgotten }: Agreement,
  isLost: (dot: Dot) => boolean,
): ClusterModel | undefined {
  if (forgotten.isEmpty) return undefined;
  return new ClusterModel(observer.all, (dot) => isLost(dot) || forgotten.has(dot));
}

/** What waits for bytes that are held for lost waits rightly: no site has them. */
function checkLost(sites: readonly Looked[], observer: LogObserver): void {
  for (const { dot } of sites.flatMap(({ running }) => running.site.store.replica.parked())) {
    const operation = observer.all.get(dot.origin)?.[dot.seq - 1]?.operation;
    if (operation?.body.kind !== "object-put") continue;
    const { body } = operation.body.object;
    if (body.kind !== "manifests") continue;
    for (const { name, running } of sites) {
      const { replica } = running.site.store;
      if (!body.manifests.every(({ hash }) => replica.manifest(hash) !== undefined)) continue;
      throw new BrokenPromise(`${describe(operation)} waits for bytes that ${name} has`);
    }
  }
}

function showKeys(store: Store): string[] {
  return [...store.accessKeys()].map(({ id, state, name }) => `${id} ${state} ${name}`);
}

type Models = { readonly model: ClusterModel; readonly without: ClusterModel };

async function checkStore(site: Looked, models: Models, deps: Looking): Promise<void> {
  const { store } = site.running.site;
  const { model, without } = models;
  const buckets = [...store.buckets()];
  const names = buckets.map(({ name }) => name);
  if (names.join() !== without.buckets().join()) {
    checkSame(`buckets of ${site.name}`, names, model.buckets());
  }
  for (const { name, settings } of buckets) {
    const shown = [...settings]
      .map(([setting, value]) => `${setting}=${Buffer.from(value).toString("hex")}`)
      .sort();
    checkSame(`settings of ${name} at ${site.name}`, shown, model.settings(name));
    checkVersions(site, name, models, deps.forgotten);
    checkObjects(site, name);
    await checkBodies(site, name, deps);
  }
}

function checkVersions(
  { name: site, running }: Looked,
  bucket: BucketName,
  { model, without }: Models,
  forgotten: ForgottenDeletes,
): void {
  const what = `${bucket} at ${site}`;
  const keys = forgotten.keys(bucket);
  const listed = showVersions(running.site.store, bucket);
  const wanted = model.versions(bucket);
  const isClear = (line: string): boolean => ![...keys].some((key) => line.startsWith(`${key} `));
  checkSame(what, listed.filter(isClear), wanted.filter(isClear));
  for (const key of keys) {
    const linesOf = (all: readonly string[]) => all.filter((line) => line.startsWith(`${key} `));
    const shown = linesOf(listed);
    const isWithout = shown.join("\n") === linesOf(without.versions(bucket)).join("\n");
    if (!isWithout) checkSame(what, shown, linesOf(wanted));
  }
}

/** Versions as their list shows them, in the words of the model. */
function showVersions(store: Store, bucket: BucketName): string[] {
  return listVersions(store, bucket).map((version) => {
    const { key, isLatest, isNull } = version;
    const words = [key, version.version, isLatest ? "latest" : "", isNull ? "null" : ""];
    if (version.kind === "delete-marker") return [...words, "marker"].join(" ");
    const { record } = version.object;
    const { attributes, etag, lock } = record;
    return [...words, writerOf(record), etag, attributes.tags.join(), showLock(lock)].join(" ");
  });
}

/** The list of objects is that of the versions on top, and what is counted is what is there. */
function checkObjects({ name: site, running }: Looked, bucket: BucketName): void {
  const { store } = running.site;
  const versions = listVersions(store, bucket);
  const top = versions.filter(({ kind, isLatest }) => kind === "object" && isLatest);
  const cursor = store.objects(bucket);
  const keys: string[] = [];
  for (let next = cursor.next(); next !== undefined; next = cursor.next()) keys.push(next.key);
  cursor.close();
  checkSame(
    `objects of ${bucket} at ${site}`,
    keys,
    top.map(({ key }) => key),
  );
  const objects = versions.flatMap((version) =>
    version.kind === "object" ? [version.object] : [],
  );
  const bytes = objects.reduce((sum, { record }) => sum + record.size, 0);
  const markers = versions.length - objects.length;
  const usage = store.bucketUsage(bucket);
  const counted = [usage.objects, usage.bytes, usage.versions, usage.deleteMarkers].join();
  const there = [top.length, bytes, objects.length, markers].join();
  if (counted !== there) {
    throw new BrokenPromise(`usage of ${bucket} at ${site}: ${counted}, but there is ${there}`);
  }
}

async function checkBodies(site: Looked, bucket: BucketName, deps: Looking): Promise<void> {
  const { store } = site.running.site;
  for (const version of listVersions(store, bucket)) {
    if (version.kind !== "object") continue;
    const { object } = version;
    const read = () => checkBody(site.name, store, object, deps.contents);
    if (!(await canRead(read))) checkElsewhere(site.name, object, deps);
  }
}

/** An object reads as one write made it: its bytes, its size and its ETag belong together. */
export async function checkBody(
  site: string,
  store: Store,
  object: StoredObject,
  contents: Contents,
): Promise<void> {
  const { record } = object;
  const writer = writerOf(record);
  const what = `${object.bucket}/${object.key} of ${writer} at ${site}`;
  const wanted = contents.get(writer);
  if (wanted === undefined) throw new BrokenPromise(`${what} was written by nobody`);
  if (!etagsOf(wanted).includes(record.etag)) throw new BrokenPromise(`${what} has another's ETag`);
  const meant = bodyOf(wanted);
  if (record.size !== meant.length) throw new BrokenPromise(`${what} has a size of another`);
  if (!(await readWhole(store, object)).equals(meant)) {
    throw new BrokenPromise(`${what} reads as other bytes`);
  }
}

/** No origin has issued times that its site's clock, or that of a peer it believed, never showed. */
export function checkClocks(observer: LogObserver, mostMs: number): void {
  for (const [origin, operations] of observer.all) {
    const last = operations.at(-1);
    if (last === undefined || hlcMs(last.operation.hlc) <= mostMs) continue;
    const ahead = hlcMs(last.operation.hlc) - mostMs;
    throw new BrokenPromise(`${origin} is ${ahead} ms ahead of every clock`);
  }
}
