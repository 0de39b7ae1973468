import { assert } from "../../src/core/assert.ts";
import type { Kv, KvMutation, KvRange, KvRow, OpenKv } from "../../src/ports/kv.ts";
import type { Seed } from "./seed.ts";
import type { SimDisk } from "./sim-disk.ts";
import type { Attachment } from "./sim-file.ts";
import { faultCode, PowerCut } from "./sim-steps.ts";
import { systemError } from "./sim-tree.ts";

const KEY_BYTES_MAX = 1978;
const DATA_FILE = "data.mdb";

/** Rows in key order. Never changed in place: a state is a snapshot. */
type State = readonly KvRow[];

/**
 * The file of a simulated store: its rows, and every state since the last sync, any of which a
 * power cut may bring back. It rides on a file of the simulated disk, so that removing or renaming
 * the directory does to it what it does to the real one.
 */
class KvImage implements Attachment {
  rows: State;
  /** States since the last sync, oldest first; empty when nothing is unsynced. */
  unsynced: State[] = [];
  /** Why it cannot be opened, undefined when it can. */
  broken: string | undefined;

  constructor(rows: State = []) {
    this.rows = rows;
  }

  copy(): KvImage {
    return new KvImage(this.rows);
  }

  crash(seed: Seed): KvImage {
    if (this.unsynced.length === 0) return new KvImage(this.rows);
    const fate = seed.fraction();
    if (fate < 0.2) {
      const image = new KvImage();
      image.broken = "MDB_INVALID: File is not a valid LMDB file";
      return image;
    }
    const rows = seed.pick([...this.unsynced, this.rows]);
    return new KvImage(fate < 0.4 ? garble(rows, seed) : rows);
  }
}

/** Damage as unordered page writes make it: rows missing, values of other times, wrong bits. */
function garble(rows: State, seed: Seed): State {
  const kept: KvRow[] = [];
  for (const row of rows) {
    if (seed.chance(0.05)) continue;
    if (!seed.chance(0.1) || row.value.length === 0) kept.push(row);
    else {
      const value = Uint8Array.from(row.value);
      const at = seed.int(value.length);
      value[at] = (value[at] as number) ^ (1 << seed.int(8));
      kept.push({ key: row.key, value });
    }
  }
  return kept;
}

/** Stores that live on a simulated disk and share its power cuts and faults. */
export function openSimKv(disk: SimDisk): OpenKv {
  return async (directory) => {
    const fault = await disk.enter("kv-open", directory);
    if (fault === "cut") return disk.steps.lost();
    if (fault !== undefined) throw systemError(faultCode(fault), directory);
    disk.makeDirectories(directory, false);
    const path = `${directory}/${DATA_FILE}`;
    let image = disk.attachment(path);
    if (!(image instanceof KvImage)) {
      image = new KvImage();
      disk.attach(path, image);
    }
    if (!(image instanceof KvImage)) throw new Error(`${path} is no simulated store`);
    if (image.broken !== undefined) throw new Error(image.broken);
    await disk.steps.settle(disk.seed);
    return new SimKv(disk, directory, image);
  };
}

/** Damages a store where it lies, as rot would. */
export function damageSimKv(disk: SimDisk, directory: string, seed: Seed): void {
  const image = disk.attachment(`${directory}/${DATA_FILE}`);
  if (image instanceof KvImage) image.rows = garble(image.rows, seed);
}

class SimKv implements Kv {
  readonly #disk: SimDisk;
  readonly #directory: string;
  readonly #image: KvImage;
  #writes: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  #closed = false;

  constructor(disk: SimDisk, directory: string, image: KvImage) {
    this.#disk = disk;
    this.#directory = directory;
    this.#image = image;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#checkReadable();
    const rows = this.#image.rows;
    const at = lowerBound(rows, key);
    const row = rows[at];
    return row !== undefined && Buffer.compare(row.key, key) === 0
      ? Buffer.from(row.value)
      : undefined;
  }

  *range(query: KvRange): Iterable<KvRow> {
    this.#checkReadable();
    for (const bound of [query.gt, query.gte, query.lt]) {
      const bytes = bound?.length ?? 0;
      assert(bytes <= KEY_BYTES_MAX, "bounds of a range are at most 1,978 bytes");
    }
    const rows = this.#image.rows;
    const from =
      query.gt !== undefined ? upperBound(rows, query.gt) : lowerBound(rows, query.gte ?? EMPTY);
    const to = query.lt === undefined ? rows.length : lowerBound(rows, query.lt);
    const count = Math.min(Math.max(0, to - from), query.limit ?? Number.POSITIVE_INFINITY);
    for (let index = 0; index < count; index++) {
      const row = rows[query.reverse === true ? to - 1 - index : from + index] as KvRow;
      yield { key: Buffer.from(row.key), value: Buffer.from(row.value) };
    }
  }

  async write(mutations: readonly KvMutation[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    assert(!this.#closed, "the index is closed");
    for (const { key } of mutations) {
      assert(key.length > 0 && key.length <= KEY_BYTES_MAX, "index keys are 1 to 1,978 bytes");
    }
    if (mutations.length === 0) return;
    const write = this.#writes.then(() => this.#commit(mutations));
    this.#writes = write.catch(() => undefined);
    await write;
  }

  async sync(): Promise<void> {
    await this.#enter("kv-sync");
    const rows = this.#image.rows;
    await this.#disk.steps.settle(this.#disk.seed);
    if (this.#image.rows === rows) this.#image.unsynced = [];
    else this.#image.unsynced = this.#image.unsynced.slice(this.#image.unsynced.indexOf(rows));
    await this.#disk.syncDirectory(this.#directory);
  }

  async backup(directory: string): Promise<void> {
    await this.#enter("kv-backup");
    const copy = new KvImage(this.#image.rows);
    // Until it is synced the copy is torn: a cut leaves something that cannot be opened.
    copy.broken = "MDB_INVALID: the copy was cut short";
    this.#disk.makeDirectories(directory, false);
    this.#disk.attach(`${directory}/${DATA_FILE}`, copy);
    await this.#disk.steps.settle(this.#disk.seed);
    copy.broken = undefined;
    await this.#disk.syncDirectory(directory);
  }

  sizeBytes(): number {
    return this.#image.rows.reduce((sum, row) => sum + row.key.length + row.value.length, 4096);
  }

  count(): number {
    return this.#image.rows.length;
  }

  async close(): Promise<void> {
    await this.#writes;
    this.#closed = true;
  }

  async #commit(mutations: readonly KvMutation[]): Promise<void> {
    try {
      await this.#enter("kv-write", () => this.#apply(mutations));
    } catch (failure) {
      this.#failure = failure as Error;
      throw failure;
    }
    const disk = this.#disk;
    await disk.steps.settle(disk.seed);
    this.#apply(mutations);
  }

  #apply(mutations: readonly KvMutation[]): void {
    const image = this.#image;
    image.unsynced.push(image.rows);
    image.rows = applyAll(image.rows, mutations);
  }

  /** A cut during a commit may still leave it whole, for a process that is only killed. */
  async #enter(kind: "kv-write" | "kv-sync" | "kv-backup", late?: () => void): Promise<void> {
    const fault = await this.#disk.enter(kind, this.#directory);
    if (fault === "cut") {
      if (late !== undefined && this.#disk.seed.chance(0.5)) late();
      return this.#disk.steps.lost();
    }
    if (fault !== undefined) throw systemError(faultCode(fault), this.#directory);
  }

  #checkReadable(): void {
    assert(!this.#closed, "the index is closed");
    if (this.#disk.steps.stopped) throw new PowerCut();
  }
}

const EMPTY = new Uint8Array(0);

function applyAll(rows: State, mutations: readonly KvMutation[]): State {
  const next = [...rows];
  for (const { key, value } of mutations) {
    const at = lowerBound(next, key);
    const row = next[at];
    const found = row !== undefined && Buffer.compare(row.key, key) === 0 ? 1 : 0;
    if (value === undefined) next.splice(at, found);
    else next.splice(at, found, { key: Uint8Array.from(key), value: Uint8Array.from(value) });
  }
  return next;
}

/** Index of the first row whose key is not less. */
function lowerBound(rows: State, key: Uint8Array): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare((rows[middle] as KvRow).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the first row whose key is greater. */
function upperBound(rows: State, key: Uint8Array): number {
  const at = lowerBound(rows, key);
  const row = rows[at];
  return row !== undefined && Buffer.compare(row.key, key) === 0 ? at + 1 : at;
}
