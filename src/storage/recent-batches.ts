import { copyInto } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import type { Dot, Operation } from "../core/records.ts";
import type { BatchPlace } from "./log-batch.ts";
import { BATCH_HEADER_BYTES } from "./segment/batch.ts";
import { RECORD_HEADER_BYTES } from "./segment/record.ts";

/** An operation as it travels, with what tells where it belongs. */
export type ReadOperation = {
  readonly operation: Pick<Operation, "dot" | "group">;
  readonly encoded: Uint8Array;
  /** Its inline body; undefined when it has none, came without, or what is here is damaged. */
  readonly inline: Uint8Array | undefined;
  /** Why it stands here without its bytes. */
  readonly missing: "parked" | "void" | undefined;
};

/** An operation of the batch being filled, and where its bytes are in the batch's records. */
export type NotedOperation = {
  readonly dot: Dot;
  readonly group: Operation["group"];
  readonly start: number;
  readonly end: number;
  readonly body: NotedBody | undefined;
};

/** An inline body; the place of its record is known once the batch has been laid out. */
type NotedBody = {
  readonly owner: Uint8Array;
  readonly bytes: Uint8Array;
  readonly place: { readonly offset: number };
};

/** Where an operation lies in a kept batch. */
type Kept = {
  readonly operation: ReadOperation["operation"];
  readonly start: number;
  readonly end: number;
  /** Offset of its inline body; undefined when it has none. */
  readonly bodyAt: number | undefined;
  readonly bodyBytes: number;
};

type KeptBatch = { readonly bytes: Uint8Array; readonly operations: readonly Kept[] };

/** Memory for several batches, reused when they have been forgotten. */
type Block = { readonly memory: Buffer; used: number; readonly keys: string[] };

/** Room for three or four batches of a busy server; a larger batch has a block of its own. */
const BLOCK_BYTES = 1024 * 1024;

/**
 * The batches that were written last, for peers that wait at the end of the log. Without it each
 * batch would be read from the disk and decoded a moment after it was written. Nothing is kept
 * until a peer reads, nor when none has read for as many bytes as there is room for.
 *
 * Batches are kept in memory that is reused, and readers get copies. Memory of its own for each
 * batch, kept for half a second, would be garbage that only a full collection finds, and megabytes
 * of it would bring such a collection about twice a second.
 *
 * Invariant: the blocks take at most `LIMITS.recentBatchesBytesMax`.
 */
export class RecentBatches {
  readonly #kept = new Map<string, KeptBatch>();
  /** Oldest first. */
  #blocks: Block[] = [];
  #blockBytes = 0;
  /** Bytes kept since a peer last asked. */
  #unread = 0;
  #isWanted = false;

  /** Whether a batch that is begun now should note its operations. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /**
   * Keeps a copy of a batch; the index will tell when it is durable. `noted` is undefined for a
   * batch that has to be read from the disk.
   */
  keep(place: BatchPlace, noted: readonly NotedOperation[] | undefined, laidOut: Uint8Array): void {
    if (!this.#isWanted || noted === undefined) return;
    if (this.#unread > LIMITS.recentBatchesBytesMax) {
      this.#forgetAll();
      return;
    }
    const block = this.#blockFor(laidOut.length);
    const from = block.used;
    block.used += laidOut.length;
    copyInto(block.memory, from, laidOut);
    const bytes = block.memory.subarray(from, block.used);
    const operations = noted.map((one) => whereIs(one, place));
    const key = keyOf(place);
    this.#kept.set(key, { bytes, operations });
    block.keys.push(key);
    this.#unread += laidOut.length;
  }

  /** The operations of a batch, in its order, copied; undefined when it is not kept. */
  get(place: BatchPlace): readonly ReadOperation[] | undefined {
    this.#isWanted = true;
    this.#unread = 0;
    const kept = this.#kept.get(keyOf(place));
    if (kept === undefined) return undefined;
    const bytes = Buffer.from(kept.bytes);
    return kept.operations.map(({ operation, start, end, bodyAt, bodyBytes }) => ({
      operation,
      encoded: bytes.subarray(start, end),
      inline: bodyAt === undefined ? undefined : bytes.subarray(bodyAt, bodyAt + bodyBytes),
      missing: undefined,
    }));
  }

  /** A block with room for this many bytes; the oldest blocks are given up for it. */
  #blockFor(bytes: number): Block {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.used + bytes <= last.memory.length) return last;
    const size = Math.max(BLOCK_BYTES, bytes);
    let memory: Buffer | undefined;
    while (this.#blockBytes + size > LIMITS.recentBatchesBytesMax) {
      const oldest = this.#blocks.shift();
      if (oldest === undefined) break;
      for (const key of oldest.keys) this.#kept.delete(key);
      this.#blockBytes -= oldest.memory.length;
      if (oldest.memory.length === size) memory = oldest.memory;
    }
    const block = { memory: memory ?? Buffer.allocUnsafeSlow(size), used: 0, keys: [] };
    this.#blocks.push(block);
    this.#blockBytes += size;
    return block;
  }

  #forgetAll(): void {
    this.#kept.clear();
    this.#blocks = [];
    this.#blockBytes = 0;
    this.#unread = 0;
    this.#isWanted = false;
  }
}

function whereIs({ dot, group, start, end, body }: NotedOperation, batch: BatchPlace): Kept {
  return {
    operation: { dot, group },
    start: BATCH_HEADER_BYTES + start,
    end: BATCH_HEADER_BYTES + end,
    bodyAt: body === undefined ? undefined : bodyStart(body, batch),
    bodyBytes: body?.bytes.length ?? 0,
  };
}

function keyOf({ segment, offset }: BatchPlace): string {
  return `${segment}:${offset}`;
}

/** Where a body begins in its batch. */
function bodyStart({ place, owner }: NotedBody, batch: BatchPlace): number {
  return place.offset - batch.offset + RECORD_HEADER_BYTES + owner.length;
}
