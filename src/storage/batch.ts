import { assert } from "../core/assert.ts";
import type { ByteWriter } from "../core/bytes.ts";
import { HLC_ZERO, type Hlc, type HlcClock } from "../core/hlc.ts";
import { encodeLocal } from "../core/local-codec.ts";
import { encodeManifest } from "../core/manifest-codec.ts";
import type { BucketName, ContentHash, ObjectKey, OriginId } from "../core/names.ts";
import { makeVersionId, parseSeq, type Seq } from "../core/names.ts";
import { chainAfter, encodeOperation } from "../core/operation-codec.ts";
import type {
  LocalRecord,
  ManifestChunk,
  Operation,
  OperationBody,
  Vector,
} from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { BatchPosition } from "./commit-lane.ts";
import { applyLocal, applyManifest, applyOperation } from "./metadata/apply.ts";
import type { ApplyContext } from "./metadata/apply-context.ts";
import type { Stamp } from "./metadata/stamp.ts";
import { RECORD_KIND_NUMBERS } from "./segment/format.ts";
import { bodyOwner, bodyRecordBytes, RECORD_VERSION } from "./segment/record.ts";

/** An inline body on its way into a batch; `place` is filled in when the batch is laid out. */
export type BatchBody = {
  readonly owner: Uint8Array;
  readonly bytes: Uint8Array;
  readonly place: { segment: number; offset: number };
};

/** State of this origin's log; moves on with every operation. */
export type LogHead = { seq: Seq; chain: Uint8Array; hlc: Hlc };

export type BatchDeps = {
  readonly origin: OriginId;
  readonly clock: HlcClock;
  readonly hash: Hash;
  readonly head: LogHead;
  /** Where records are encoded: free again once a batch is laid out, before the next is begun. */
  readonly records: ByteWriter;
};

const NO_VECTOR: Vector = new Map();

/**
 * The batch that is being filled. Records are encoded and applied to the index view as they come;
 * bodies are laid out behind them when the batch is closed.
 */
export class OpenBatch {
  readonly position: BatchPosition;
  readonly context: ApplyContext;
  readonly records: ByteWriter;
  readonly bodies: BatchBody[] = [];
  readonly #deps: BatchDeps;
  bodiesBytes = 0;
  recordCount = 0;
  operationCount = 0;
  firstSeq = 0;
  firstHlc: Hlc = HLC_ZERO;
  lastHlc: Hlc = HLC_ZERO;
  readonly keys: Array<{ bucket: BucketName; key: ObjectKey; recordOffset: number }> = [];

  constructor(deps: BatchDeps, position: BatchPosition, context: ApplyContext) {
    this.#deps = deps;
    this.position = position;
    this.context = context;
    this.records = deps.records;
    this.records.reset();
  }

  /** Hash chain of this origin after the batch's last operation. */
  get chain(): Uint8Array {
    return this.#deps.head.chain;
  }

  /** Bytes the batch will take, without padding. */
  get bytes(): number {
    return this.records.length + this.bodiesBytes;
  }

  /** The next reading of the clock, greater than what the operation supersedes. */
  nextHlc(above: Hlc = HLC_ZERO): Hlc {
    return this.#deps.clock.next(above);
  }

  /**
   * Adds an operation of this origin. `inline` is the object's body when it lies beside it; `group`
   * binds it to others that every site applies with it or not at all.
   */
  operation(
    hlc: Hlc,
    body: OperationBody,
    inline?: Uint8Array,
    group?: NonNullable<Operation["group"]>,
  ): Stamp {
    const { origin, hash, head } = this.#deps;
    const seq = parseSeq(head.seq + 1) ?? head.seq;
    const operation: Operation = {
      dot: { origin, seq },
      hlc,
      chainBefore: head.chain,
      vector: { full: this.operationCount === 0, entries: NO_VECTOR },
      group,
      body,
      unknownFields: [],
    };
    const recordOffset = this.records.length;
    const encoded = this.#record("op", (writer) => encodeOperation(writer, operation));
    head.chain = chainAfter((bytes) => hash.digest("SHA256", bytes), head.chain, encoded);
    head.seq = seq;
    head.hlc = hlc;
    const place = this.#place(operation, recordOffset, inline);
    this.operationCount += 1;
    if (this.firstSeq === 0) {
      this.firstSeq = seq;
      this.firstHlc = hlc;
    }
    this.lastHlc = hlc;
    applyOperation(this.context, operation, { home: this.position.segment, body: place });
    return { hlc, origin, seq };
  }

  /**
   * Adds a row of another site: an operation with the dot that it had where it was made, outside
   * every chain. One that is here already is written anew, and its body read from there since.
   */
  row(operation: Operation, inline?: Uint8Array): void {
    const { clock, head } = this.#deps;
    const recordOffset = this.records.length;
    this.#record("row", (writer) => encodeOperation(writer, operation));
    clock.observe(operation.hlc);
    if (operation.hlc > head.hlc) head.hlc = operation.hlc;
    const place = this.#place(operation, recordOffset, inline);
    applyOperation(this.context, operation, { home: this.position.segment, body: place });
  }

  local(record: LocalRecord): void {
    this.#record("local", (writer) => encodeLocal(writer, record));
    applyLocal(this.context, record, this.position.segment);
  }

  manifest(hash: ContentHash, chunks: readonly ManifestChunk[]): void {
    const payload = encodeManifest(chunks);
    this.#record("manifest", (writer) => writer.bytes(payload));
    applyManifest(this.context, { hash, chunks }, this.position.segment);
  }

  /** Takes in the inline body of an operation; where it will lie is filled in at the end. */
  #place(
    { body, hlc, dot }: Operation,
    recordOffset: number,
    inline: Uint8Array | undefined,
  ): BatchBody["place"] {
    const place = { segment: this.position.segment, offset: 0 };
    if (body.kind === "object-put" && body.object.body.kind === "inline") {
      assert(inline?.length === body.object.body.bytes, "an inline body comes with its operation");
      const owner = bodyOwner(body.bucket, body.key, makeVersionId(hlc, dot.origin));
      this.bodies.push({ owner, bytes: inline, place });
      this.bodiesBytes += bodyRecordBytes(owner.length, inline.length);
      this.recordCount += 1;
    }
    if ("key" in body) this.keys.push({ bucket: body.bucket, key: body.key, recordOffset });
    return place;
  }

  /** Writes a record around what `encode` writes, without a copy; gives its payload. */
  #record(
    kind: "op" | "row" | "local" | "manifest",
    encode: (writer: ByteWriter) => void,
  ): Uint8Array {
    const writer = this.records;
    const start = writer.length;
    writer.u32(0).u8(RECORD_KIND_NUMBERS[kind]).u8(RECORD_VERSION).u16(0).u32(0).u32(0);
    const payloadStart = writer.length;
    encode(writer);
    const end = writer.length;
    writer.patchU32(start + 8, end - payloadStart);
    const whole = writer.view();
    writer.patchU32(start, this.#deps.hash.crc32(whole.subarray(start + 4, end)));
    this.recordCount += 1;
    return whole.subarray(payloadStart, end);
  }
}
