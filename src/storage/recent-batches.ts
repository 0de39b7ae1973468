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

/** An operation of a batch that is being filled, and where its bytes lie in the batch's records. */
export type NotedOperation = {
  readonly dot: Dot;
  readonly group: Operation["group"];
  readonly start: number;
  readonly end: number;
  readonly body: NotedBody | undefined;
};

/** An inline body; its record's place is known when the batch has been laid out. */
type NotedBody = {
  readonly owner: Uint8Array;
  readonly bytes: Uint8Array;
  readonly place: { readonly offset: number };
};

type Kept = { readonly operations: readonly ReadOperation[]; readonly bytes: number };

/**
 * The batches that were written last, for peers that wait at the end of the log: without it each
 * batch would be read from the disk and decoded a moment after it was written. Nothing is kept
 * until somebody reads, or when nobody has for as many bytes as there is room for.
 *
 * Invariant: at most `LIMITS.recentBatchesBytesMax` are kept.
 */
export class RecentBatches {
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;
  /** Bytes that were kept since somebody last asked. */
  #unread = 0;
  #isWanted = false;

  /** Whether a batch that is begun now should note its operations. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /**
   * Keeps a copy of a batch, of which the index will tell when it is durable. `noted` is undefined
   * for one that has to be read from the disk.
   */
  keep(place: BatchPlace, noted: readonly NotedOperation[] | undefined, laidOut: Uint8Array): void {
    if (!this.#isWanted || noted === undefined) return;
    if (this.#unread > LIMITS.recentBatchesBytesMax) {
      this.#forgetAll();
      return;
    }
    const bytes = Buffer.from(laidOut);
    const operations = noted.map(({ dot, group, start, end, body }): ReadOperation => {
      const at = body === undefined ? 0 : bodyStart(body, place);
      return {
        operation: { dot, group },
        encoded: bytes.subarray(BATCH_HEADER_BYTES + start, BATCH_HEADER_BYTES + end),
        inline: body === undefined ? undefined : bytes.subarray(at, at + body.bytes.length),
        missing: undefined,
      };
    });
    this.#kept.set(keyOf(place), { operations, bytes: bytes.length });
    this.#bytes += bytes.length;
    this.#unread += bytes.length;
    this.#forgetOldest();
  }

  /** The operations of a batch, in its order; undefined when it is not kept. */
  get(place: BatchPlace): readonly ReadOperation[] | undefined {
    this.#isWanted = true;
    this.#unread = 0;
    return this.#kept.get(keyOf(place))?.operations;
  }

  #forgetOldest(): void {
    for (const [key, { bytes }] of this.#kept) {
      if (this.#bytes <= LIMITS.recentBatchesBytesMax) return;
      this.#kept.delete(key);
      this.#bytes -= bytes;
    }
  }

  #forgetAll(): void {
    this.#kept.clear();
    this.#bytes = 0;
    this.#unread = 0;
    this.#isWanted = false;
  }
}

function keyOf({ segment, offset }: BatchPlace): string {
  return `${segment}:${offset}`;
}

/** Where a body begins in its batch. */
function bodyStart({ place, owner }: NotedBody, batch: BatchPlace): number {
  return place.offset - batch.offset + RECORD_HEADER_BYTES + owner.length;
}
