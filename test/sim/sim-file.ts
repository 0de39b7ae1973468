import type { Seed } from "./seed.ts";

export const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;

/** A page never changes: a write makes a new one. A missing page is full of zeros. */
type Pages = Map<number, Uint8Array>;

/** What rides on a file and crashes with it, such as a simulated index. */
export interface Attachment {
  /** What a power cut leaves of it. */
  crash(seed: Seed): Attachment;
  /** The same as it is now, all of it synced. */
  copy(): Attachment;
}

/**
 * The bytes of one file, as programs see them and as a power cut would leave them. `#pending` holds
 * the versions of each page written since its last sync, `#sizes` the sizes since then.
 */
export class SimFile {
  attachment: Attachment | undefined;
  #live: Pages = new Map();
  #durable: Pages = new Map();
  #size = 0;
  #durableSize = 0;
  #pending = new Map<number, Uint8Array[]>();
  #sizes: Array<{ readonly bytes: number }> = [];

  get size(): number {
    return this.#size;
  }

  get pageCount(): number {
    return this.#live.size;
  }

  read(into: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - offset));
    let at = 0;
    while (at < count) {
      const from = (offset + at) % PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - from, count - at);
      const page = this.#live.get(Math.floor((offset + at) / PAGE_BYTES));
      if (page === undefined) into.fill(0, at, at + length);
      else into.set(page.subarray(from, from + length), at);
      at += length;
    }
    return count;
  }

  /** Writes to the page cache; returns the versions made, for `syncPages`. */
  write(bytes: Uint8Array, offset: number): ReadonlyMap<number, Uint8Array> {
    const made = new Map<number, Uint8Array>();
    let at = 0;
    while (at < bytes.length) {
      const from = (offset + at) % PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - from, bytes.length - at);
      const index = Math.floor((offset + at) / PAGE_BYTES);
      const page = this.#newVersion(index);
      page.set(bytes.subarray(at, at + length), from);
      made.set(index, page);
      at += length;
    }
    if (bytes.length > 0) this.#resize(Math.max(this.#size, offset + bytes.length));
    return made;
  }

  truncate(size: number): void {
    const boundary = Math.floor(size / PAGE_BYTES);
    for (const index of [...this.#live.keys()]) {
      if (index < boundary) continue;
      const page = this.#newVersion(index);
      page.fill(0, index === boundary ? size % PAGE_BYTES : 0);
      if (index > boundary || size % PAGE_BYTES === 0) this.#live.delete(index);
    }
    this.#resize(size);
  }

  /** Begins a sync; the function it returns makes durable what had been written by now. */
  beginSync(): () => void {
    const pages = new Map<number, Uint8Array>();
    for (const [index, versions] of this.#pending) {
      pages.set(index, versions.at(-1) as Uint8Array);
    }
    const size = this.#sizes.at(-1);
    return () => {
      this.#settlePages(pages);
      const at = size === undefined ? -1 : this.#sizes.indexOf(size);
      if (size === undefined || at < 0) return;
      this.#durableSize = size.bytes;
      this.#sizes.splice(0, at + 1);
    };
  }

  /** A direct write has resolved: its pages are durable, whatever else is still pending. */
  syncPages(made: ReadonlyMap<number, Uint8Array>, end: number): void {
    this.#settlePages(made);
    this.#durableSize = Math.max(this.#durableSize, end);
    this.#sizes = this.#sizes.filter((size) => size.bytes > this.#durableSize);
  }

  /**
   * What Linux does when fsync fails: pages are marked clean, so reads still return them and no
   * later sync writes them. Which of them reached the disk, nobody knows.
   */
  failSync(seed: Seed): void {
    for (const [index, versions] of this.#pending) {
      if (seed.chance(0.5))
        this.#durable.set(index, survivor(this.#lineage(index, versions), seed));
    }
    this.#pending.clear();
  }

  /** The file after a power cut: each unsynced page old, new, in between or torn. */
  crash(seed: Seed): SimFile {
    const file = new SimFile();
    file.#size = seed.pick([{ bytes: this.#durableSize }, ...this.#sizes]).bytes;
    file.#live = new Map(this.#durable);
    const keepAll = seed.chance(0.15);
    const keepNone = !keepAll && seed.chance(0.15);
    for (const [index, versions] of this.#pending) {
      if (keepNone) continue;
      const page = keepAll ? versions.at(-1) : survivor(this.#lineage(index, versions), seed);
      file.#live.set(index, page as Uint8Array);
    }
    if (keepAll) file.#size = this.#size;
    file.#cutBeyondSize();
    file.#durable = new Map(file.#live);
    file.#durableSize = file.#size;
    file.attachment = this.attachment?.crash(seed);
    return file;
  }

  /** The file as programs see it now, all of it synced. */
  copy(): SimFile {
    const file = new SimFile();
    file.#size = this.#size;
    file.#durableSize = this.#size;
    file.#live = new Map(this.#live);
    file.#durable = new Map(this.#live);
    file.attachment = this.attachment?.copy();
    return file;
  }

  /** Rot: the bit changes on the platter and in the cache alike. */
  flipBit(bit: number): void {
    const index = Math.floor(bit / 8 / PAGE_BYTES);
    const flip = (pages: Pages): void => {
      const page = Uint8Array.from(pages.get(index) ?? new Uint8Array(PAGE_BYTES));
      const at = Math.floor(bit / 8) % PAGE_BYTES;
      page[at] = (page[at] as number) ^ (1 << (bit % 8));
      pages.set(index, page);
    };
    flip(this.#live);
    flip(this.#durable);
    this.#pending.delete(index);
  }

  /** Versions older than the settled one can no longer survive; newer ones stay pending. */
  #settlePages(pages: ReadonlyMap<number, Uint8Array>): void {
    for (const [index, page] of pages) {
      const versions = this.#pending.get(index);
      const at = versions?.indexOf(page) ?? -1;
      if (versions === undefined || at < 0) continue;
      this.#durable.set(index, page);
      versions.splice(0, at + 1);
      if (versions.length === 0) this.#pending.delete(index);
    }
  }

  #newVersion(index: number): Uint8Array {
    const old = this.#live.get(index);
    const page = old === undefined ? new Uint8Array(PAGE_BYTES) : Uint8Array.from(old);
    this.#live.set(index, page);
    const versions = this.#pending.get(index);
    if (versions === undefined) this.#pending.set(index, [page]);
    else versions.push(page);
    return page;
  }

  #resize(size: number): void {
    if (size === this.#size) return;
    this.#size = size;
    this.#sizes.push({ bytes: size });
  }

  #lineage(index: number, versions: readonly Uint8Array[]): Uint8Array[] {
    return [this.#durable.get(index) ?? new Uint8Array(PAGE_BYTES), ...versions];
  }

  #cutBeyondSize(): void {
    const boundary = Math.floor(this.#size / PAGE_BYTES);
    for (const [index, page] of this.#live) {
      if (index < boundary) continue;
      if (index > boundary || this.#size % PAGE_BYTES === 0) this.#live.delete(index);
      else {
        const cut = Uint8Array.from(page);
        cut.fill(0, this.#size % PAGE_BYTES);
        this.#live.set(index, cut);
      }
    }
  }
}

/** One version of a page, or one torn into another at the granularity of sectors. */
function survivor(lineage: readonly Uint8Array[], seed: Seed): Uint8Array {
  const at = seed.int(lineage.length);
  const chosen = lineage[at] as Uint8Array;
  if (at === 0 || seed.chance(0.5)) return chosen;
  const older = lineage[at - 1] as Uint8Array;
  const torn = Uint8Array.from(chosen);
  for (let sector = 0; sector < PAGE_BYTES; sector += SECTOR_BYTES) {
    if (seed.chance(0.5)) torn.set(older.subarray(sector, sector + SECTOR_BYTES), sector);
  }
  return torn;
}
