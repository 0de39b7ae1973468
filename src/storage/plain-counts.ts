import type { BucketName } from "../core/names.ts";
import type { ApplyContext } from "./metadata/apply-context.ts";
import { addUsage, countedElsewhere, countedIn } from "./metadata/usage.ts";
import { isAt, type PlainFields } from "./plain-fields.ts";

/** Counts are brought into rows when there are so many folders. */
const FOLDERS_MAX = 8192;

/** What was added to a bucket since counts were brought into rows. */
export type BucketCounts = {
  readonly name: BucketName;
  /** By a hash of the folder. */
  readonly folders: Map<number, FolderCount>;
  tombstones: number;
  noncurrent: number;
  /** How many objects can surely be taken off the count of folders that are not listed. */
  elsewhere: number | undefined;
};

/** What was added to the keys of a bucket that agree up to their first slash. */
type FolderCount = {
  objects: number;
  bytes: number;
  readonly counts: BucketCounts;
  readonly key: string;
  readonly folder: Buffer;
  /** Objects that a row of its own says it had; undefined as long as nobody has asked. */
  before: number | undefined;
};

type LiveCount = { rows: number; bytes: number };

/**
 * Sums up how operations that are not decoded change the counts of folders and of segments. The
 * sums give the same rows as one change after the other would, as long as no folder's count becomes
 * zero in between: then another folder could be listed in its place. Such a change is made at once.
 */
export class PlainCounts {
  readonly #context: ApplyContext;
  #folders: FolderCount[] = [];
  readonly #buckets = new Set<BucketCounts>();
  readonly #live = new Map<number, LiveCount>();
  #home = 0;
  #homeCount: LiveCount | undefined;

  constructor(context: ApplyContext) {
    this.#context = context;
  }

  /** Counts an object that was added, or that replaced another: then `objects` is 0. */
  add(counts: BucketCounts, bytes: Buffer, at: PlainFields, change: LiveObject): void {
    if (change.objects === 0 && change.bytes === 0) return;
    const count = this.#countOf(counts, bytes, at);
    count.objects += change.objects;
    count.bytes += change.bytes;
  }

  /** Counts an object of this size as gone. */
  takeOff(counts: BucketCounts, bytes: Buffer, at: PlainFields, size: number): void {
    const count = this.#countOf(counts, bytes, at);
    if (this.#leavesSome(count)) {
      count.objects -= 1;
      count.bytes -= size;
      return;
    }
    this.settle();
    addUsage(this.#context.view, nameOf(count), { objects: -1, bytes: -size });
  }

  addTombstones(counts: BucketCounts, change: number): void {
    counts.tombstones += change;
    this.#buckets.add(counts);
  }

  /** Counts an object that has become an older version. */
  addNoncurrent(counts: BucketCounts): void {
    counts.noncurrent += 1;
    this.#buckets.add(counts);
  }

  /**
   * Counts rows, and bytes of inline bodies, that a segment is needed for; negative when it no
   * longer is.
   */
  addLive(segment: number, rows: number, bytes: number): void {
    if (this.#home !== segment || this.#homeCount === undefined) {
      this.#homeCount = this.#live.get(segment) ?? { rows: 0, bytes: 0 };
      this.#live.set(segment, this.#homeCount);
      this.#home = segment;
    }
    this.#homeCount.rows += rows;
    this.#homeCount.bytes += bytes;
  }

  /** Brings the sums into the rows of the view. */
  settle(): void {
    const { view, references } = this.#context;
    for (const [segment, { rows, bytes }] of this.#live) {
      if (rows !== 0 || bytes !== 0) references.addLive(segment, rows, bytes);
    }
    this.#live.clear();
    this.#homeCount = undefined;
    // In the order in which folders were first met, because the first ones get listed.
    for (const count of this.#folders) {
      addUsage(view, nameOf(count), { objects: count.objects, bytes: count.bytes });
      count.counts.folders.clear();
      count.counts.elsewhere = undefined;
    }
    this.#folders = [];
    for (const counts of this.#buckets) {
      const { name, tombstones, noncurrent } = counts;
      addUsage(view, { bucket: name, key: "" }, { tombstones, noncurrent });
      counts.tombstones = 0;
      counts.noncurrent = 0;
    }
    this.#buckets.clear();
  }

  #countOf(counts: BucketCounts, bytes: Buffer, at: PlainFields): FolderCount {
    const { keyAt, folderEnd, folderHash } = at;
    const known = counts.folders.get(folderHash);
    if (known !== undefined && isAt(known.folder, bytes, keyAt, folderEnd)) return known;
    if (this.#folders.length >= FOLDERS_MAX) this.settle();
    const folder = Buffer.from(bytes.subarray(keyAt, folderEnd));
    const key = folder.toString("utf8");
    const count = { objects: 0, bytes: 0, counts, key, folder, before: undefined };
    this.#folders.push(count);
    counts.folders.set(folderHash, count);
    return count;
  }

  /**
   * Whether an object can be subtracted from its folder's count without the count becoming zero, in
   * whatever order the sums are added.
   */
  #leavesSome(count: FolderCount): boolean {
    const { view } = this.#context;
    const { counts, key, objects } = count;
    // Keys without a slash are in no folder.
    if (key === "") return true;
    count.before ??= countedIn(view, counts.name, key);
    if (count.before + objects > 1) return true;
    if (count.before > 0) return false;
    counts.elsewhere ??= countedElsewhere(view, counts.name);
    if (counts.elsewhere < 2) return false;
    counts.elsewhere -= 1;
    return true;
  }
}

type LiveObject = { readonly objects: number; readonly bytes: number };

function nameOf({ counts, key }: FolderCount): { bucket: BucketName; key: string } {
  return { bucket: counts.name, key };
}
