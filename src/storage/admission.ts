import { StorageFault } from "../core/faults.ts";
import type { Clock } from "../ports/clock.ts";
import type { Disk } from "../ports/disk.ts";

export type AdmissionDeps = {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  /** Free bytes that writes must leave; undefined: 1 GiB or 2 % of the disk, the smaller. */
  readonly reserveBytes: number | undefined;
};

const RESERVE_BYTES_MAX = 1024 ** 3;
const RESERVE_SHARE = 0.02;
/** How old what we know of the free space may be. */
const FACTS_AGE_MS_MAX = 1000;
/** The index and its copies grow with the log: this much is set aside per byte written. */
const INDEX_BYTES_PER_BYTE = 0.25;
const INDEX_BYTES_PER_WRITE = 2048;

/**
 * Foresees a full disk. A write is refused before it is begun while a reserve is left, so that
 * deletes, housekeeping and the next start still have room.
 */
export class Admission {
  readonly #deps: AdmissionDeps;
  #freeBytes = Number.POSITIVE_INFINITY;
  #reserveBytes = 0;
  #askedMs = Number.NEGATIVE_INFINITY;
  #asking = false;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  /** Free bytes above the reserve, as last known. */
  get roomBytes(): number {
    return this.#freeBytes - this.#reserveBytes;
  }

  /** @throws StorageFault "disk-full" when a write of so many bytes would touch the reserve. */
  admit(bytes: number): void {
    if (this.#deps.clock.monotonicMs() - this.#askedMs > FACTS_AGE_MS_MAX) void this.refresh();
    const needed = bytes * (1 + INDEX_BYTES_PER_BYTE) + INDEX_BYTES_PER_WRITE;
    if (needed > this.roomBytes) {
      throw new StorageFault("disk-full", "the disk is full up to its reserve", {
        hint: "Delete objects or free space on the disk of the data directory; reads go on.",
      });
    }
    this.#freeBytes -= needed;
  }

  /** Asks the file system. A failure keeps what was known: the write itself will tell. */
  async refresh(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    this.#askedMs = this.#deps.clock.monotonicMs();
    try {
      const facts = await this.#deps.disk.fileSystem(this.#deps.directory);
      const share = facts.totalBytes * RESERVE_SHARE;
      this.#reserveBytes = this.#deps.reserveBytes ?? Math.min(RESERVE_BYTES_MAX, share);
      this.#freeBytes = facts.freeBytes;
    } catch (failure) {
      if (!(failure instanceof Error)) throw failure;
    } finally {
      this.#asking = false;
    }
  }
}
