import { assert } from "../core/assert.ts";
import { alignUp } from "../core/bytes.ts";
import { ignore } from "../core/ignore.ts";
import { LIMITS } from "../core/limits.ts";
import { parseSegmentId } from "../core/names.ts";
import type { ReadFile } from "../ports/disk.ts";
import type { Hash } from "../ports/hash.ts";
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  decodeBatchHeader,
  verifyBatch,
} from "./segment/batch.ts";

/** A batch met in a scan: its header, and its records, valid until the visit has ended. */
export type ScannedBatch = { readonly header: BatchHeader; readonly records: Buffer };

/** How a scan ended: at the end of what was to be read, or at something that is no whole batch. */
export type ScanEnd = { readonly offset: number; readonly whole: boolean; readonly reason: string };

export type ScanRequest = {
  readonly file: ReadFile;
  readonly segment: number;
  readonly from: number;
  /** Where the batches end: the footer of a sealed segment, the size of an open one. */
  readonly to: number;
  /** Whether bodies are read and the checksum of the whole batch is verified. */
  readonly verifyBodies: boolean;
  readonly crc32: Hash["crc32"];
  /**
   * For readers that nobody waits for: small parts are read on this thread for as long as that is
   * fast, as this clock (milliseconds) tells.
   */
  readonly monotonicMs?: () => number;
};

/** What is read first, and at least: the header and, of most batches, all records. */
const WINDOW_BYTES_MIN = 16 * 1024;
const WINDOW_BYTES_FIRST = 64 * 1024;
/** Small batches are read together with their bodies: that is cheaper than a read for each. */
const WINDOW_BYTES_MAX = 1024 * 1024;
const SMALL_BATCH_BYTES = 128 * 1024;
/**
 * Of batches up to this size several are read at once on this thread; of larger ones only records.
 */
const TINY_BATCH_BYTES = 16 * 1024;
const TINY_WINDOW_BYTES = 64 * 1024;
/** A batch is never larger than this: a few operations of the largest object above the usual. */
const BATCH_BYTES_SANE = 256 * 1024 * 1024;

/** Fills memory from an offset of the file; returns how many bytes there were. */
type Read = (into: Buffer, offset: number) => number | Promise<number>;

/**
 * What one read has brought: whole batches, where they end, and why nothing more was found there.
 */
type Window = {
  readonly batches: readonly ScannedBatch[];
  readonly end: number;
  readonly failure: string | undefined;
};

/** Hands over the batches of a segment in order and tells how it ended. Damage is an outcome. */
export async function scanBatches(
  request: ScanRequest,
  visit: (batch: ScannedBatch) => Promise<void> | undefined,
): Promise<ScanEnd> {
  const memories = new Memories();
  const pace = new ReadPace(request);
  let offset = request.from;
  let next = readAhead(request, offset, memories.take(WINDOW_BYTES_FIRST));
  while (next !== undefined) {
    const window: Window = await next;
    const { batches, end, failure } = window;
    const isNow = failure !== undefined || pace.isFast();
    // The next window is read while this one is being looked at.
    const bytes = pace.bytesBehind(offset, window);
    const memory = memories.take(bytes ?? nextBytes(request, offset, window));
    next = isNow ? undefined : readAhead(request, end, memory);
    for (const batch of batches) await visit(batch);
    if (failure !== undefined) return { offset: end, whole: false, reason: failure };
    if (isNow && end < request.to) next = readWindow(request, end, memory, pace.read);
    offset = end;
  }
  return { offset, whole: offset === request.to, reason: "the end" };
}

/**
 * After this many windows on this thread, one is read on another, so that other work has its turn.
 */
const NOW_AT_ONCE = 32;
/** More than this takes a read of what is not in the page cache; so many may, for other reasons. */
const FAST_MS_MAX = 0.05;
const SLOW_READS_MAX = NOW_AT_ONCE / 4;
/** This many windows are read on other threads before this thread is tried again. */
const SLOW_WINDOWS = 64;

/**
 * Decides whether to read on this thread, and how much. A read from the page cache takes
 * microseconds, whereas handing it to another thread and hearing back takes about fifty. What is
 * not in the page cache is read on other threads, in large pieces.
 */
class ReadPace {
  readonly #file: ReadFile;
  readonly #monotonicMs: (() => number) | undefined;
  #reads = 0;
  #slowReads = 0;
  #slowLeft = 0;
  /** About how many bytes the records of the largest batches take. */
  #recordsBytes = 0;

  constructor({ file, verifyBodies, monotonicMs }: ScanRequest) {
    this.#file = file;
    // Bodies are large pieces anyway.
    this.#monotonicMs = verifyBodies ? undefined : monotonicMs;
  }

  isFast(): boolean {
    if (this.#monotonicMs === undefined) return false;
    if (this.#slowLeft > 0) {
      this.#slowLeft -= 1;
      return false;
    }
    if (this.#reads < NOW_AT_ONCE) return true;
    if (this.#slowReads > SLOW_READS_MAX) this.#slowLeft = SLOW_WINDOWS;
    this.#reads = 0;
    this.#slowReads = 0;
    return false;
  }

  /**
   * How many bytes to read behind a window, when that is fast: hardly more than will be looked at.
   */
  bytesBehind(offset: number, { batches, end }: Window): number | undefined {
    if (this.#monotonicMs === undefined || this.#slowLeft > 0) return undefined;
    let most = this.#recordsBytes - this.#recordsBytes / 16;
    for (const { header } of batches) most = Math.max(most, header.opsBytes);
    this.#recordsBytes = most;
    if (end - offset <= batches.length * TINY_BATCH_BYTES) return TINY_WINDOW_BYTES;
    const wanted = alignUp(most + most / 4 + BATCH_HEADER_BYTES, LIMITS.pageBytes);
    return Math.min(WINDOW_BYTES_MAX, wanted);
  }

  readonly read: Read = (into, offset) => {
    const startedMs = this.#monotonicMs?.() ?? 0;
    const count = this.#file.readSync(into, offset);
    this.#reads += 1;
    const tookMs = (this.#monotonicMs?.() ?? 0) - startedMs;
    if (tookMs > FAST_MS_MAX) this.#slowReads += 1;
    return count;
  };
}

/** Two pieces of memory that windows use in turns: one is filled while the other is looked at. */
class Memories {
  readonly #memories: Array<Buffer | undefined> = [undefined, undefined];
  #turn = 0;

  take(bytes: number): Buffer {
    this.#turn = 1 - this.#turn;
    const known = this.#memories[this.#turn];
    const isEnough = known !== undefined && known.length >= bytes;
    const memory = isEnough ? known : Buffer.allocUnsafeSlow(bytes);
    this.#memories[this.#turn] = memory;
    return memory.length === bytes ? memory : memory.subarray(0, bytes);
  }
}

/** How many bytes to read behind a window, judging by what the window held. */
function nextBytes({ verifyBodies }: ScanRequest, offset: number, window: Window): number {
  const { batches, end } = window;
  const isSmall = end - offset <= batches.length * SMALL_BATCH_BYTES;
  if (verifyBodies || isSmall) return WINDOW_BYTES_MAX;
  const most = Math.max(0, ...batches.map(({ header }) => header.opsBytes));
  const wanted = alignUp(most + most / 2 + BATCH_HEADER_BYTES, LIMITS.pageBytes);
  return Math.min(WINDOW_BYTES_MAX - LIMITS.pageBytes, Math.max(WINDOW_BYTES_MIN, wanted));
}

function readAhead(
  request: ScanRequest,
  offset: number,
  memory: Buffer,
): Promise<Window> | undefined {
  if (offset >= request.to) return undefined;
  const { file } = request;
  const reading = readWindow(request, offset, memory, (into, at) => file.read(into, at));
  // Whoever waits for it hears of a failure; a scan that ends before that does not care.
  reading.catch(ignore);
  return reading;
}

/** Reads as much as fits the memory, but at least the first batch, however large it is. */
async function readWindow(
  request: ScanRequest,
  offset: number,
  memory: Buffer,
  reader: Read,
): Promise<Window> {
  const { to } = request;
  const length = Math.min(memory.length, to - offset);
  const part = reader(memory.subarray(0, length), offset);
  const read = typeof part === "number" ? part : await part;
  const batches: ScannedBatch[] = [];
  let end = offset;
  while (end < offset + read || batches.length === 0) {
    const bytes = memory.subarray(end - offset, read);
    const found = readHeader(request, end, bytes);
    // A batch at the end of the window may continue behind it: the next window begins with it.
    const isCut = bytes.length < BATCH_HEADER_BYTES && end + bytes.length < to;
    if (isCut && batches.length > 0) break;
    if ("reason" in found) return { batches, end, failure: found.reason };
    const { header } = found;
    const needed = request.verifyBodies ? header.batchBytes : recordsEnd(header);
    if (needed > bytes.length && batches.length > 0) break;
    const batch = await wholeBatch(reader, { offset: end, bytes, needed });
    if (batch === undefined) return { batches, end, failure: "a batch ends early" };
    if (request.verifyBodies && !verifyBatch(batch, header, request.crc32)) {
      return { batches, end, failure: "a batch's checksum differs" };
    }
    batches.push({ header, records: batch.subarray(BATCH_HEADER_BYTES, recordsEnd(header)) });
    end += header.batchBytes;
  }
  return { batches, end, failure: undefined };
}

function recordsEnd({ opsBytes }: BatchHeader): number {
  return BATCH_HEADER_BYTES + opsBytes;
}

function readHeader(
  { segment, to, crc32 }: ScanRequest,
  offset: number,
  bytes: Buffer,
): { readonly header: BatchHeader } | { readonly reason: string } {
  const segmentId = parseSegmentId(segment);
  assert(segmentId !== undefined, "a segment has an id");
  const decoded = decodeBatchHeader(bytes, { segmentId, offset }, crc32);
  if (decoded.outcome !== "batch") {
    return { reason: decoded.outcome === "zeros" ? "zeros" : decoded.reason };
  }
  const { header } = decoded;
  if (offset + header.batchBytes > to || header.batchBytes > BATCH_BYTES_SANE) {
    return { reason: "a batch ends early" };
  }
  return { header };
}

/** As much of a batch as is needed, given its first bytes; undefined when the file ends early. */
async function wholeBatch(
  reader: Read,
  { offset, bytes, needed }: { offset: number; bytes: Buffer; needed: number },
): Promise<Buffer | undefined> {
  if (needed <= bytes.length) return bytes.subarray(0, needed);
  const batch = Buffer.allocUnsafeSlow(needed);
  bytes.copy(batch);
  const missing = needed - bytes.length;
  const count = await reader(batch.subarray(bytes.length), offset + bytes.length);
  return count === missing ? batch : undefined;
}

/**
 * Looks for a whole batch behind a place where there is none. Only the torn end of the log may be
 * cut: when something valid follows, the place is damage.
 */
export async function hasBatchBehind(request: ScanRequest, offset: number): Promise<boolean> {
  // Most places hold no batch, so only a header's worth of bytes is read of each.
  const memory = Buffer.allocUnsafeSlow(BATCH_HEADER_BYTES);
  const reader: Read = (into, from) => request.file.read(into, from);
  for (let at = offset + LIMITS.pageBytes; at < request.to; at += LIMITS.pageBytes) {
    const { batches } = await readWindow({ ...request, verifyBodies: true }, at, memory, reader);
    if (batches.length > 0) return true;
  }
  return false;
}
