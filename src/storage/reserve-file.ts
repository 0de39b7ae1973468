import type { Disk } from "../ports/disk.ts";

export type ReserveFileDeps = {
  readonly disk: Disk;
  /** The data directory; the file is called "reserve". */
  readonly directory: string;
  /** Size of the file; 0 keeps none. */
  readonly bytes: number;
};

const STEP_BYTES = 1024 * 1024;
/** With less than this left on the disk the reserve file is given up. */
export const TIGHT_BYTES = 8 * 1024 * 1024;

/**
 * Removes a reserve file before a start writes its first byte, when the disk is all but full:
 * without the room set aside for it, the start would fail. A process that holds the directory
 * already would do the same.
 */
export async function makeRoomToStart(disk: Disk, directory: string): Promise<void> {
  const { freeBytes } = await disk.fileSystem(directory);
  if (freeBytes < TIGHT_BYTES) await new ReserveFile({ disk, directory, bytes: 0 }).release();
}

/**
 * Space set aside in a file, because free space alone can be taken by any other program. When the
 * disk is full to the last byte the file is given up, and deletes, housekeeping and the next start
 * go on in its room; it is made again when there is space.
 */
export class ReserveFile {
  readonly #deps: ReserveFileDeps;
  readonly #path: string;

  constructor(deps: ReserveFileDeps) {
    this.#deps = deps;
    this.#path = `${deps.directory}/reserve`;
  }

  /** Bytes that giving it up yields. */
  get bytes(): number {
    return this.#deps.bytes;
  }

  /** Gives the space up; tells whether there was any. */
  async release(): Promise<boolean> {
    const { disk, directory } = this.#deps;
    if ((await disk.stat(this.#path)) === undefined) return false;
    await disk.remove(this.#path);
    await disk.syncDirectory(directory);
    return true;
  }

  /** Whether the file may be there, given that much room beside it. */
  fits(roomBytes: number): boolean {
    return roomBytes >= this.#deps.bytes * 4;
  }

  /** Makes the file unless it is there whole, given that much room; tells whether it did. */
  async restore(roomBytes: number): Promise<boolean> {
    const { disk, directory, bytes } = this.#deps;
    if (bytes === 0 || !this.fits(roomBytes)) return false;
    const facts = await disk.stat(this.#path);
    if (facts?.sizeBytes === bytes) return false;
    if (facts !== undefined) await disk.remove(this.#path);
    const file = await disk.create(this.#path, "buffered");
    try {
      // Written and not only sized: a file of holes sets nothing aside.
      const step = Buffer.alloc(Math.min(STEP_BYTES, bytes));
      for (let at = 0; at < bytes; at += step.length) await file.write(step, at);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.syncDirectory(directory);
    return true;
  }
}
