import { assert } from "../core/assert.ts";
import { toHex } from "../core/bytes.ts";
import { errnoOf, StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { ContentHash } from "../core/names.ts";
import type { ChunkPlace, ManifestRef } from "../core/records.ts";
import type { ReadFile } from "../ports/disk.ts";
import type { Hash } from "../ports/hash.ts";
import { ColdReads } from "./cold-reads.ts";
import type { Damage, RepairSource } from "./logical-rows.ts";
import { type ManifestRow, TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import { RemoteBytes } from "./remote-bytes.ts";
import { mayBeBody } from "./right-body.ts";
import { bodyOwner, bodyRecordBytes, decodeRecord } from "./segment/record.ts";
import type { Segments } from "./segment/segments.ts";
import { SMALL_RECORD_BYTES_MAX, SmallBodies } from "./small-bodies.ts";
import type { BodyReader, ByteRange, StoredObject } from "./stored.ts";
import type { WarmPages } from "./warm-pages.ts";

export type BodyReaderDeps = {
  readonly segments: Segments;
  readonly hash: Hash;
  /** The index as clients see it, without the changes that are still in line. */
  readonly index: RowReader;
  readonly warm: WarmPages;
  /** Called with a place whose bytes do not verify: it is counted, and repaired. */
  readonly damaged: (segment: number, offset: number) => void;
};

/** Repairs damaged bytes: another site gives the right ones, which are written anew. */
export type Repair = {
  readonly source: RepairSource;
  readonly mend: (damage: Damage, bytes: Uint8Array) => void;
};

/** One slice of a chunk: what is read, verified and handed over at once. */
type Slice = {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
  readonly crc: number;
  /** Its chunk, and where it begins in it. */
  readonly chunk: ContentHash;
  readonly chunkBytes: number;
  readonly start: number;
  /** The part of the slice that the caller asked for. */
  readonly from: number;
  readonly to: number;
};

/** Reads bodies. No byte leaves before the checksum of its record or slice is found right. */
export class Bodies {
  readonly #deps: BodyReaderDeps;
  readonly #slices: Uint8Array[] = [];
  readonly #small = new SmallBodies();
  readonly #cold: ColdReads;
  /** Open readers, and which segments each may still read, where that is known. */
  readonly #active = new Map<object, ReadonlySet<number> | undefined>();
  /** Undefined while there are no other sites. */
  repair: Repair | undefined;
  /** The bytes of bodies that are stored at other sites only. */
  readonly remote: RemoteBytes;

  constructor(deps: BodyReaderDeps) {
    this.#deps = deps;
    this.#cold = new ColdReads({ ...deps, small: this.#small });
    this.remote = new RemoteBytes(deps.index);
  }

  /**
   * An inline body that is probably in the page cache, read on this thread; undefined when it is
   * not, or when it is damaged and another site may have it. The bytes that are returned never
   * change. They are shared, and nobody may change them.
   *
   * @throws StorageFault "corrupt" when the bytes do not verify and no other site can be asked.
   */
  readSmall(object: StoredObject, range: ByteRange): Uint8Array | undefined {
    const { body } = object.record;
    if (body.kind !== "inline") return undefined;
    const { segment, offset } = object.place;
    const place = `${segment}:${offset}`;
    const hot = this.#small.get(place);
    if (hot !== undefined) return partOf(hot, range);
    const file = this.#deps.segments.opened(segment);
    const owner = bodyOwner(object.bucket, object.key, object.version);
    const bytes = bodyRecordBytes(owner.length, body.bytes);
    if (file === undefined || bytes > SMALL_RECORD_BYTES_MAX) return undefined;
    if (!this.#deps.warm.isWarm(segment, offset, bytes)) return undefined;
    const record = this.#small.room(bytes);
    const count = readHere(file, record, offset);
    const whole = this.#verified(object, record.subarray(0, count), owner);
    if (whole === undefined) {
      if (this.repair !== undefined) return undefined;
      throw this.#damage(object.place);
    }
    this.#small.offer(place, whole);
    return partOf(whole, range);
  }

  /**
   * Reads every byte of a body from disk, hashes chunks anew, and returns what is damaged. A body
   * that was removed meanwhile is not damaged.
   */
  async check(object: StoredObject): Promise<readonly Damage[]> {
    const { body } = object.record;
    if (body.kind === "inline") return await this.#checkInline(object, body.bytes);
    const damages: Damage[] = [];
    for (const { hash } of body.manifests) {
      for (const chunk of this.#deps.index.get(TABLES.manifest, hash)?.chunks ?? []) {
        const row = this.#deps.index.get(TABLES.chunk, chunk.hash);
        if (row === undefined || (await this.#isChunkRight(chunk.hash, row.place))) continue;
        damages.push({ kind: "chunk", ...chunk });
      }
    }
    return damages;
  }

  async #checkInline(object: StoredObject, bodyBytes: number): Promise<readonly Damage[]> {
    const { segment, offset } = object.place;
    const owner = bodyOwner(object.bucket, object.key, object.version);
    const record = Buffer.allocUnsafe(bodyRecordBytes(owner.length, bodyBytes));
    const count = await this.#readWhole(segment, record, offset);
    const right = this.#verified(object, record.subarray(0, count), owner) !== undefined;
    return right ? [] : [{ kind: "inline", object }];
  }

  async #isChunkRight(hash: ContentHash, { segment, offset, bytes }: ChunkPlace): Promise<boolean> {
    const chunk = Buffer.allocUnsafe(bytes);
    const count = await this.#readWhole(segment, chunk, offset);
    return count === bytes && toHex(this.#deps.hash.digest("BLAKE3", chunk)) === hash;
  }

  /** Bytes that could be read; none of a segment that is missing. */
  async #readWhole(segment: number, into: Buffer, offset: number): Promise<number> {
    try {
      return await this.#deps.segments.read(segment, into, offset);
    } catch (failure) {
      if (failure instanceof StorageFault && failure.kind === "corrupt") return 0;
      throw failure;
    }
  }

  open(object: StoredObject, range: ByteRange): BodyReader {
    const { body } = object.record;
    if (body.kind === "inline") {
      const { segment } = object.place;
      return this.#kept(this.#inlineReader(object, range, body.bytes), new Set([segment]));
    }
    if (!this.remote.isRemote(object)) {
      const { slices, segments } = this.#slicesOf(body.manifests, range);
      return this.#kept(this.#sliceReader(slices), segments);
    }
    const open = (manifest: ManifestRef, part: ByteRange): BodyReader =>
      this.#sliceReader(this.#slicesOf([manifest], part).slices);
    return this.#kept(this.remote.reader(object, range, open), undefined);
  }

  #kept(reader: BodyReader, segments: ReadonlySet<number> | undefined): BodyReader {
    this.#active.set(reader, segments);
    const close = (): void => {
      reader.close();
      this.#active.delete(reader);
    };
    return { next: reader.next, close };
  }

  /** The whole of a small body, in memory of its own; undefined of a body in chunks. */
  async inline(object: StoredObject): Promise<Buffer | undefined> {
    const { body } = object.record;
    if (body.kind !== "inline") return undefined;
    if (body.bytes === 0) return Buffer.alloc(0);
    const reader = this.open(object, { start: 0, end: body.bytes });
    try {
      const bytes = await reader.next();
      assert(bytes !== undefined, "a small body comes in one slice");
      return Buffer.from(bytes);
    } finally {
      reader.close();
    }
  }

  /** Whether a reader that is open may read in a segment: then that must not go. */
  isRead(segment: number): boolean {
    for (const segments of this.#active.values()) {
      if (segments === undefined || segments.has(segment)) return true;
    }
    return false;
  }

  #inlineReader(object: StoredObject, range: ByteRange, bodyBytes: number): BodyReader {
    let given = false;
    return {
      next: async () => {
        if (given) return undefined;
        given = true;
        const { segment, offset } = object.place;
        const owner = bodyOwner(object.bucket, object.key, object.version);
        const bytes = bodyRecordBytes(owner.length, bodyBytes);
        const payload =
          this.#verified(object, await this.#cold.read(segment, offset, bytes), owner) ??
          (await this.#foreign({ kind: "inline", object }, object.place));
        return range.end > range.start ? payload.subarray(range.start, range.end) : undefined;
      },
      close: () => {
        given = true;
      },
    };
  }

  /** The payload of a body record that is whole and belongs to this very version. */
  #verified(object: StoredObject, record: Buffer, owner: Uint8Array): Uint8Array | undefined {
    const found = decodeRecord(record, 0, this.#deps.hash.crc32);
    const { body, size, encryption } = object.record;
    const right =
      found.outcome === "record" &&
      found.kind === "body" &&
      found.owner.equals(owner) &&
      body.kind === "inline" &&
      found.payload.length === body.bytes &&
      // The size of the record is that of the plaintext, when the body is encrypted.
      (encryption !== undefined || body.bytes === size);
    return right ? found.payload : undefined;
  }

  /** The right bytes for damaged ones, from another site; they are also written here anew. */
  async #foreign(damage: Damage, place: StoredObject["place"]): Promise<Uint8Array> {
    const fault = this.#damage(place);
    const { repair } = this;
    const bytes = await repair?.source(damage);
    if (bytes === undefined || !this.#isRight(damage, bytes)) throw fault;
    repair?.mend(damage, bytes);
    return bytes;
  }

  #isRight(damage: Damage, bytes: Uint8Array): boolean {
    if (damage.kind === "chunk") {
      return toHex(this.#deps.hash.digest("BLAKE3", bytes)) === damage.hash;
    }
    return mayBeBody(this.#deps.hash, damage.object.record, bytes);
  }

  #damage({ segment, offset }: StoredObject["place"]): StorageFault {
    this.#deps.damaged(segment, offset);
    return new StorageFault(
      "corrupt",
      `bytes at segment ${segment}, offset ${offset} are damaged`,
      {
        hint: "The object cannot be read here; restore it from a backup or another site.",
      },
    );
  }

  #sliceReader(slices: Iterator<Slice>): BodyReader {
    let buffer: Uint8Array | undefined;
    let closed = false;
    return {
      next: async () => {
        const step = closed ? undefined : slices.next();
        if (step === undefined || step.done === true) return undefined;
        buffer ??= this.#slices.pop() ?? Buffer.allocUnsafeSlow(LIMITS.sliceBytes);
        return await this.#readSlice(step.value, buffer);
      },
      close: () => {
        closed = true;
        if (buffer !== undefined && this.#slices.length < 16) this.#slices.push(buffer);
        buffer = undefined;
      },
    };
  }

  async #readSlice(slice: Slice, buffer: Uint8Array): Promise<Uint8Array> {
    const { segment, offset, bytes, crc } = slice;
    const into = buffer.subarray(0, bytes);
    const count = await this.#deps.segments.read(segment, into, offset);
    if (count !== bytes || this.#deps.hash.crc32(into) !== crc) {
      const { chunk: hash, chunkBytes, start } = slice;
      const damage = { kind: "chunk", hash, bytes: chunkBytes } as const;
      const whole = await this.#foreign(damage, { segment, offset });
      into.set(whole.subarray(start, start + bytes));
    }
    return into.subarray(slice.from, slice.to);
  }

  /**
   * The slices that cover a range, in order. Their places are looked up before the first byte is
   * sent, so that a removed object can be read to its end; beyond 16 GiB, on the way.
   */
  #slicesOf(
    manifests: readonly ManifestRef[],
    range: ByteRange,
  ): {
    readonly slices: Iterator<Slice>;
    /** The segments of the slices; undefined when not all are known yet. */
    readonly segments: ReadonlySet<number> | undefined;
  } {
    const places = this.#placesOf(manifests, range);
    const ahead: PlacedRange[] = [];
    const segments = new Set<number>();
    while (ahead.length < CHUNKS_AHEAD) {
      const step = places.next();
      if (step.done === true) return { slices: slicesOfChunks(ahead, places), segments };
      ahead.push(step.value);
      segments.add(step.value.place.segment);
    }
    return { slices: slicesOfChunks(ahead, places), segments: undefined };
  }

  *#placesOf(manifests: readonly ManifestRef[], range: ByteRange): Generator<PlacedRange> {
    let start = 0;
    for (const manifest of manifests) {
      const end = start + manifest.bytes;
      if (start < range.end && end > range.start) {
        const row = this.#deps.index.get(TABLES.manifest, manifest.hash);
        if (row === undefined) throw missing("a manifest");
        yield* this.#placesOfChunks(row, { start: range.start - start, end: range.end - start });
      }
      start = end;
    }
  }

  *#placesOfChunks(row: ManifestRow, range: ByteRange): Generator<PlacedRange> {
    let start = 0;
    for (const chunk of row.chunks) {
      const end = start + chunk.bytes;
      if (start < range.end && end > range.start) {
        const found = this.#deps.index.get(TABLES.chunk, chunk.hash);
        if (found === undefined) throw missing("a chunk");
        yield {
          hash: chunk.hash,
          place: found.place,
          range: { start: range.start - start, end: range.end - start },
        };
      }
      start = end;
    }
  }
}

/** As `Segments.read`, but on this thread. */
function readHere(file: ReadFile, into: Buffer, offset: number): number {
  try {
    return file.readSync(into, offset);
  } catch (failure) {
    if (errnoOf(failure) === "EIO") return 0;
    throw failure;
  }
}

type PlacedRange = {
  readonly hash: ContentHash;
  readonly place: ChunkPlace;
  readonly range: ByteRange;
};
const CHUNKS_AHEAD = 4096;

function* slicesOfChunks(
  ahead: readonly PlacedRange[],
  rest: Iterator<PlacedRange>,
): Generator<Slice> {
  for (const placed of ahead) yield* slicesOfChunk(placed);
  for (let step = rest.next(); step.done !== true; step = rest.next()) {
    yield* slicesOfChunk(step.value);
  }
}

function* slicesOfChunk({ hash, place, range }: PlacedRange): Generator<Slice> {
  const { segment, bytes: chunkBytes } = place;
  for (const [index, crc] of place.sliceCrcs.entries()) {
    const start = index * LIMITS.sliceBytes;
    const bytes = Math.min(LIMITS.sliceBytes, place.bytes - start);
    const from = Math.max(range.start - start, 0);
    const to = Math.min(range.end - start, bytes);
    if (from >= to) continue;
    const offset = place.offset + start;
    yield { segment, offset, bytes, crc, chunk: hash, chunkBytes, start, from, to };
  }
}

function missing(what: string): StorageFault {
  return new StorageFault("corrupt", `the index has no place of ${what}`, {
    hint: "The object was removed while it was read, or the index wants `atoll rebuild-index`.",
  });
}

/** A view of a part of shared bytes; the bytes themselves for all of them. Hot path. */
function partOf(bytes: Uint8Array, { start, end }: ByteRange): Uint8Array {
  return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
}
