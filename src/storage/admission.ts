import { StorageFault } from "../core/faults.ts";
import { ignore } from "../core/ignore.ts";
import type { Clock } from "../ports/clock.ts";
import type { Disk, FileSystemFacts } from "../ports/disk.ts";
import { type ReserveFile, TIGHT_BYTES } from "./reserve-file.ts";

export type AdmissionDeps = {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  /** Free bytes that writes must leave; undefined: 1 GiB or 2 % of the disk, the smaller. */
  readonly reserveBytes: number | undefined;
  readonly reserveFile: ReserveFile;
};

const RESERVE_BYTES_MAX = 1024 ** 3;
const RESERVE_SHARE = 0.02;
/** How old what we know of the free space may be. */
const FACTS_AGE_MS_MAX = 1000;
/** As old as this they are after a rest only: others may have filled the disk meanwhile. */
const STALE_MS = 10_000;
/** The index and its copies grow with the log: this much is set aside per byte written. */
const INDEX_BYTES_PER_BYTE = 0.25;
const INDEX_BYTES_PER_WRITE = 2048;
/** A small write (a delete, the end of an upload) needs this much left on the disk itself. */
const SMALL_WRITE_BYTES = 256 * 1024;

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
  #makingRoom: Promise<void> | undefined;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  /** Free bytes above the reserve, as last known. */
  get roomBytes(): number {
    return this.#freeBytes - this.#reserveBytes;
  }

  /**
   * Whether there is room for the reserve file. Housekeeping makes it whenever there is, so after a
   * look at the house this also says that the file is there.
   */
  get keepsReserve(): boolean {
    return this.#deps.reserveFile.fits(this.roomBytes);
  }

  /** @throws StorageFault "disk-full" when a write of so many bytes would touch the reserve. */
  admit(bytes: number): void {
    this.#look();
    const needed = bytes * (1 + INDEX_BYTES_PER_BYTE) + INDEX_BYTES_PER_WRITE;
    if (needed > this.roomBytes) {
      throw new StorageFault("disk-full", "the disk is full up to its reserve", {
        hint: "Delete objects or free space on the disk of the data directory; reads go on.",
      });
    }
    this.#freeBytes -= needed;
  }

  /**
   * Admits a write that frees space or ends something: it may use the reserve.
   *
   * @throws StorageFault "disk-full" when not even the reserve file's space is left.
   */
  admitSmall(): void {
    this.#look();
    // A failure leaves the file where it is, and the next small write tries again.
    if (this.#freeBytes < TIGHT_BYTES) this.makeRoom().catch(ignore);
    if (this.#freeBytes >= SMALL_WRITE_BYTES) return;
    throw new StorageFault("disk-full", "the disk is full to the last byte", {
      hint: "Free space on the disk of the data directory; the space set aside is being given up.",
    });
  }

  /** Gives the reserve file up when the disk is all but full. */
  makeRoom(): Promise<void> {
    if (this.#freeBytes >= TIGHT_BYTES) return Promise.resolve();
    this.#makingRoom ??= this.#makeRoom().finally(() => {
      this.#makingRoom = undefined;
    });
    return this.#makingRoom;
  }

  async #makeRoom(): Promise<void> {
    if (await this.#deps.reserveFile.release()) await this.refresh();
  }

  /** Sets the reserve file's space aside again when there is room for it. */
  async restoreReserve(): Promise<void> {
    await this.refresh();
    await this.#deps.reserveFile.restore(this.roomBytes);
  }

  /** Asks the file system. A failure keeps what was known: the write itself will tell. */
  async refresh(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    this.#askedMs = this.#deps.clock.monotonicMs();
    try {
      this.#learn(await this.#deps.disk.fileSystem(this.#deps.directory));
    } catch (failure) {
      if (!(failure instanceof Error)) throw failure;
    } finally {
      this.#asking = false;
    }
  }

  /**
   * Looks at the file system when it is time to: beside the write, or before one after a rest. A
   * failure keeps what was known, as in `refresh`.
   */
  #look(): void {
    const { clock, disk, directory } = this.#deps;
    const ageMs = clock.monotonicMs() - this.#askedMs;
    if (ageMs <= FACTS_AGE_MS_MAX) return;
    void this.refresh();
    if (ageMs <= STALE_MS) return;
    try {
      this.#learn(disk.fileSystemNow(directory));
    } catch (failure) {
      if (!(failure instanceof Error)) throw failure;
    }
  }

  #learn({ totalBytes, freeBytes }: FileSystemFacts): void {
    const share = totalBytes * RESERVE_SHARE;
    this.#reserveBytes = this.#deps.reserveBytes ?? Math.min(RESERVE_BYTES_MAX, share);
    this.#freeBytes = freeBytes;
  }
}
