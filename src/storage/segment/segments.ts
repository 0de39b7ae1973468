import { assert } from "../../core/assert.ts";
import { errnoOf, StorageFault } from "../../core/faults.ts";
import type { Hlc } from "../../core/hlc.ts";
import { ignore } from "../../core/ignore.ts";
import { LIMITS } from "../../core/limits.ts";
import { type ClusterId, type OriginId, parseSegmentId, type SiteId } from "../../core/names.ts";
import type { Disk, ReadFile, WriteFile, WriteMode } from "../../ports/disk.ts";
import type { Hash } from "../../ports/hash.ts";
import { removeIfThere } from "../json-file.ts";
import { Line } from "../line.ts";
import { encodeSegmentHeader, type Lane } from "./header.ts";

/** Whose segments these are; stands in every header. */
export type SegmentOwner = {
  /** Read anew for every segment: a site that joins another cluster changes it. */
  readonly clusterId: ClusterId;
  /** Clusters that older segments may name. */
  readonly formerClusterIds: readonly ClusterId[];
  readonly siteId: SiteId;
  readonly origin: OriginId;
};

/** What is known of one segment file. */
export type SegmentFacts = {
  readonly id: number;
  readonly lane: Lane;
  /** Bytes in the file; grows while it is open. */
  sizeBytes: number;
  sealed: boolean;
};

export type SegmentsDeps = {
  readonly disk: Disk;
  readonly hash: Hash;
  readonly directory: string;
  readonly owner: SegmentOwner;
  readonly writeMode: WriteMode;
};

const NAME = /^seg-(\d{10})\.atoll$/;
/** Segment files held open for reading; more are opened and closed as they are needed. */
const OPEN_READERS_MAX = 256;

/** A segment's file name; names sort as numbers do. */
export function segmentName(id: number): string {
  return `seg-${String(id).padStart(10, "0")}.atoll`;
}

/** The number in a segment's file name; undefined for any other file. */
export function parseSegmentName(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

type OpenReader = {
  readonly file: Promise<ReadFile>;
  opened: ReadFile | undefined;
  users: number;
  /**
   * The segment is dropped: whoever reads last closes the file, or its space would never be freed.
   */
  isDropped: boolean;
};

/** The set of segment files: their names, facts and open handles. */
export class Segments {
  readonly facts = new Map<number, SegmentFacts>();
  readonly #deps: SegmentsDeps;
  readonly #readers = new Map<number, OpenReader>();
  #nextId = 1;
  readonly #creations = new Line();

  constructor(deps: SegmentsDeps) {
    this.#deps = deps;
  }

  get writeMode(): WriteMode {
    return this.#deps.writeMode;
  }

  path(id: number): string {
    return `${this.#deps.directory}/${segmentName(id)}`;
  }

  /** Takes up a file found at the start. */
  add(facts: SegmentFacts): void {
    this.facts.set(facts.id, facts);
    this.skipTo(facts.id + 1);
  }

  /** Ids below this are not given out. */
  skipTo(nextId: number): void {
    this.#nextId = Math.max(this.#nextId, nextId);
  }

  /**
   * Makes a new segment that a power cut cannot take away: header written and synced, then the
   * directory. One at a time, so that after a crash only the newest file can be unfinished.
   */
  create(lane: Lane, created: Hlc): Promise<{ facts: SegmentFacts; file: WriteFile }> {
    return this.#creations.run(() => this.#create(lane, created));
  }

  async #create(lane: Lane, created: Hlc): Promise<{ facts: SegmentFacts; file: WriteFile }> {
    const { disk, hash, directory, owner, writeMode } = this.#deps;
    const id = parseSegmentId(this.#nextId);
    assert(id !== undefined, "segment numbers have run out");
    const path = this.path(id);
    const header = encodeSegmentHeader({ lane, segmentId: id, hlc: created, ...owner }, hash.crc32);
    const page = disk.allocateAligned(LIMITS.pageBytes);
    page.set(header);
    const file = await disk.create(path, writeMode);
    try {
      await file.write(page, 0);
      await file.sync();
      await disk.syncDirectory(directory);
    } catch (failure) {
      await file.close();
      await disk.remove(path);
      throw failure;
    }
    this.#nextId = id + 1;
    const facts = { id, lane, sizeBytes: LIMITS.pageBytes, sealed: false };
    this.facts.set(id, facts);
    return { facts, file };
  }

  /** A handle that is open already, for reads that must not wait. */
  opened(id: number): ReadFile | undefined {
    return this.#readers.get(id)?.opened;
  }

  /**
   * Calls back with an open handle and keeps it open meanwhile.
   *
   * @throws StorageFault "corrupt" when the segment is missing.
   */
  async use<Result>(id: number, work: (file: ReadFile) => Promise<Result>): Promise<Result> {
    let reader = this.#readers.get(id);
    if (reader === undefined) {
      reader = this.#open(id);
      this.#readers.set(id, reader);
      this.#closeSome();
    }
    reader.users += 1;
    try {
      return await work(await reader.file);
    } finally {
      reader.users -= 1;
      if (reader.isDropped && reader.users === 0) void closeQuietly(reader);
    }
  }

  /**
   * Reads bytes at an offset; gives how many there were: none where the disk cannot read, which is
   * damage like any other.
   *
   * @throws StorageFault "corrupt" when the segment is missing.
   */
  async read(id: number, into: Uint8Array, offset: number): Promise<number> {
    try {
      return await this.use(id, (file) => file.read(into, offset));
    } catch (failure) {
      if (errnoOf(failure) === "EIO") return 0;
      throw failure;
    }
  }

  /** Removes the file of a segment that nothing needs any more; again, when that has failed. */
  async drop(id: number): Promise<void> {
    this.facts.delete(id);
    await removeIfThere(this.#deps.disk, this.path(id));
    const reader = this.#readers.get(id);
    this.#readers.delete(id);
    if (reader === undefined) return;
    // Readers under way keep their handle: an unlinked file stays readable until it is closed.
    reader.isDropped = true;
    if (reader.users === 0) await closeQuietly(reader);
  }

  /** Makes durable which segments there are. */
  syncDirectory(): Promise<void> {
    return this.#deps.disk.syncDirectory(this.#deps.directory);
  }

  async close(): Promise<void> {
    const readers = [...this.#readers.values()];
    this.#readers.clear();
    for (const reader of readers) await closeQuietly(reader);
  }

  #open(id: number): OpenReader {
    const reader: OpenReader = {
      opened: undefined,
      users: 0,
      isDropped: false,
      file: this.#deps.disk.openRead(this.path(id)).then(
        (file) => {
          reader.opened = file;
          return file;
        },
        (cause) => {
          this.#readers.delete(id);
          throw openFault(id, cause);
        },
      ),
    };
    return reader;
  }

  #closeSome(): void {
    if (this.#readers.size <= OPEN_READERS_MAX) return;
    for (const [id, reader] of this.#readers) {
      if (reader.users > 0 || reader.opened === undefined) continue;
      this.#readers.delete(id);
      void closeQuietly(reader);
      return;
    }
  }
}

/** A file that is gone is damage; one that cannot be opened just now may open the next time. */
function openFault(id: number, cause: unknown): StorageFault {
  if (errnoOf(cause) !== "ENOENT") {
    return new StorageFault("io", `segment ${id} cannot be opened`, { cause });
  }
  return new StorageFault("corrupt", `segment ${id} is missing`, {
    hint: "Restore the file from a backup, or the objects in it from another site.",
    cause,
  });
}

/** Closing a read handle cannot lose anything, so its failure is of no interest. */
async function closeQuietly(reader: OpenReader): Promise<void> {
  await reader.file.then((file) => file.close()).then(ignore, ignore);
}
