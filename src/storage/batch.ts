import { assert } from "../core/assert.ts";
import type { ByteWriter } from "../core/bytes.ts";
import { statedVector } from "../core/causality.ts";
import { HLC_ZERO, type Hlc, type HlcClock } from "../core/hlc.ts";
import { encodeLocal } from "../core/local-codec.ts";
import { encodeManifest } from "../core/manifest-codec.ts";
import type { BucketName, ContentHash, ObjectKey, OriginId } from "../core/names.ts";
import { makeVersionId, parseSeq, type Seq } from "../core/names.ts";
import { chainAfter, encodeOperation } from "../core/operation-codec.ts";
import type {
  Dot,
  LocalRecord,
  LogStart,
  ManifestChunk,
  ManifestRef,
  Operation,
  OperationBody,
  Vector,
} from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { BatchPosition } from "./commit-lane.ts";
import { applyLocal, applyManifest, applyOperation } from "./metadata/apply.ts";
import type { ApplyContext } from "./metadata/apply-context.ts";
import { parkOperation, writtenSlot } from "./metadata/apply-origins.ts";
import { type JudgeFacts, judgeConflicts, judgeOwn, judgeRow } from "./metadata/judge-conflicts.ts";
import { judgeDeletes, judgeRowDeletes } from "./metadata/judge-deletes.ts";
import type { KeyName, WriteId } from "./metadata/key-versions.ts";
import { logRunKeyOf } from "./metadata/keys.ts";
import { withPrior } from "./metadata/prior.ts";
import { TABLES } from "./metadata/rows.ts";
import type { Stamp } from "./metadata/stamp.ts";
import { arisenIn, type NewConflict } from "./new-conflicts.ts";
import type { OriginLogs } from "./origin-logs.ts";
import type { NotedOperation, RecentBatches } from "./recent-batches.ts";
import { RECORD_KIND_NUMBERS } from "./segment/format.ts";
import {
  bodyOwner,
  bodyRecordBytes,
  RECORD_HEADER_BYTES,
  RECORD_VERSION,
} from "./segment/record.ts";

/** An inline body on its way into a batch; `place` is filled in when the batch is laid out. */
export type BatchBody = {
  readonly owner: Uint8Array;
  readonly bytes: Uint8Array;
  readonly place: { segment: number; offset: number };
};

/**
 * The state of this origin's log, which moves on with every operation. `hlc` is the greatest clock
 * reading in the whole log, of any origin's operations. `ownHlc` is that of this origin's last
 * operation, and `vector` what that operation says it had received of other origins.
 */
export type LogHead = { seq: Seq; chain: Uint8Array; hlc: Hlc; ownHlc: Hlc; vector: Vector };

export type BatchDeps = {
  readonly origin: OriginId;
  readonly clock: HlcClock;
  readonly hash: Hash;
  readonly head: LogHead;
  readonly origins: OriginLogs;
  readonly recent: RecentBatches;
  /** Where records are encoded: free again once a batch is laid out, before the next is begun. */
  readonly records: ByteWriter;
};

/** An operation of another origin, in the encoding that its origin gave it. */
export type ForeignOperation = {
  readonly operation: Operation;
  readonly encoded: Uint8Array;
  /** Hash chain of its origin's log behind the operation. */
  readonly chain: Uint8Array;
  readonly inline: Uint8Array | undefined;
  /** "…again": the operation is in the log already, where it was parked; now it is applied. */
  readonly as: "whole" | "void" | "again" | "void-again" | { readonly parked: string };
};

/** Operations of one other origin in this batch. */
export type ForeignRun = { readonly firstSeq: number; count: number };

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
  /** Whether an operation has been applied here, for judging conflicts. */
  readonly isApplied: JudgeFacts["isApplied"] = (dot) =>
    dot.origin === this.origin ? dot.seq <= this.#deps.head.seq : this.#deps.origins.isApplied(dot);
  /** The same by clock reading. This very origin may have later ones, if its disk was set back. */
  readonly hasArrived: JudgeFacts["hasArrived"] = (write) =>
    (write.origin === this.origin && write.hlc <= this.#deps.head.ownHlc) ||
    this.#deps.origins.hasArrived(this.context.view, write);
  bodiesBytes = 0;
  recordCount = 0;
  operationCount = 0;
  firstSeq = 0;
  firstHlc: Hlc = HLC_ZERO;
  lastHlc: Hlc = HLC_ZERO;
  /** Runs of other origins' operations that are new to the log with this batch. */
  readonly runs = new Map<OriginId, ForeignRun>();
  /** Whether the batch applies operations that were parked before. */
  unparked = false;
  #causal: ApplyContext | undefined;
  readonly keys: Array<{ bucket: BucketName; key: ObjectKey; recordOffset: number }> = [];
  /** Its operations, kept for peers that wait for news; undefined when no peer does. */
  noted: NotedOperation[] | undefined;

  constructor(deps: BatchDeps, position: BatchPosition, context: ApplyContext) {
    this.#deps = deps;
    this.position = position;
    this.context = context;
    this.records = deps.records;
    this.records.reset();
    this.noted = deps.recent.isWanted ? [] : undefined;
  }

  /** This site's current origin. */
  get origin(): OriginId {
    return this.#deps.origin;
  }

  /** Hash chain of this origin after the batch's last operation. */
  get chain(): Uint8Array {
    return this.#deps.head.chain;
  }

  /** Bytes the batch will take, without padding. */
  get bytes(): number {
    return this.records.length + this.bodiesBytes;
  }

  /** Issues the next clock reading, greater than that of what the operation supersedes. */
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
    const { origin, hash, head, origins } = this.#deps;
    const { view } = this.context;
    const seq = parseSeq(head.seq + 1) ?? head.seq;
    const { received } = origins;
    const operation: Operation = {
      dot: { origin, seq },
      hlc,
      chainBefore: head.chain,
      vector: statedVector(received, this.operationCount === 0 ? undefined : head.vector),
      group,
      body: origins.hasRowsOfOthers(view) ? withPrior(view, body) : body,
      unknownFields: [],
    };
    this.#judgeDeletes(operation, received);
    const causal = received.size === 0 ? undefined : received;
    const { isApplied, hasArrived } = this;
    const verdicts = judgeOwn(view, operation, { isApplied, hasArrived, causal });
    if (verdicts !== undefined) this.local(verdicts);
    const recordOffset = this.records.length;
    const encoded = this.#record("op", (writer) => encodeOperation(writer, operation));
    head.chain = chainAfter((bytes) => hash.digest("SHA256", bytes), head.chain, encoded);
    head.seq = seq;
    head.hlc = hlc;
    head.ownHlc = hlc;
    head.vector = received;
    const place = this.#place(operation, recordOffset, inline);
    this.#note(operation, recordOffset, place);
    this.operationCount += 1;
    if (this.firstSeq === 0) this.firstSeq = seq;
    this.#observe(hlc);
    const home = this.position.segment;
    applyOperation(this.#contextOf(received), operation, { home, body: place });
    return { hlc, origin, seq };
  }

  /**
   * Adds an operation of another origin, which must follow the one before it in that origin's log,
   * unless it is there `again`. Our clock learns of its reading: whether that may be believed has
   * been judged. Gives the conflicts that it makes.
   */
  foreign({ operation, encoded, chain, inline, as }: ForeignOperation): readonly NewConflict[] {
    const { origins, clock, head } = this.#deps;
    const { dot, hlc } = operation;
    const home = this.position.segment;
    const { view } = this.context;
    const isAgain = as === "again" || as === "void-again";
    const again = isAgain ? view.get(TABLES.parked, parkedKeyOf(dot)) : undefined;
    const vector = again?.vector ?? origins.vectorOf(operation);
    // Applying a verdict may remove the last row that names chunks which this operation names
    // again.
    const manifests = as === "whole" || as === "again" ? manifestsOf(operation.body) : [];
    this.context.references.addManifestRefs(manifests);
    const conflicts = this.#sayBefore(operation, as, vector);
    if (as === "void-again") return conflicts;
    const recordOffset = this.records.length;
    this.#record("op", (writer) => writer.bytes(encoded));
    clock.observe(hlc);
    if (hlc > head.hlc) head.hlc = hlc;
    this.#observe(hlc);
    if (as !== "again") {
      origins.advance(operation, chain);
      this.#countRun(dot);
    }
    // Peers must not get this batch from memory: the bytes of such an operation have to be looked
    // for.
    if (typeof as === "object" || as === "void") this.noted = undefined;
    if (typeof as === "object") {
      origins.park(dot, { hlc, slot: writtenSlot(operation.body) });
      parkOperation(this.context, operation, { home, reason: as.parked, vector });
    } else if (as !== "void") {
      const place = this.#place(operation, recordOffset, inline);
      this.#note(operation, recordOffset, place);
      applyOperation(this.#contextOf(vector), operation, { home, body: place });
    }
    this.context.references.dropManifestRefs(manifests);
    return conflicts;
  }

  /** Writes the record that says what is special about an operation, in front of it. */
  #sayBefore(
    operation: Operation,
    as: ForeignOperation["as"],
    vector: Vector,
  ): readonly NewConflict[] {
    const { dot } = operation;
    const { origins } = this.#deps;
    if (typeof as === "object") {
      this.local({ kind: "operations-parked", operations: [{ ...dot, reason: as.parked }] });
      return [];
    }
    if (as === "void") this.local({ kind: "operations-void", operations: [dot] });
    const isAgain = as === "again" || as === "void-again";
    if (isAgain) {
      this.local({ kind: "operations-unparked", operations: [{ ...dot, vector }] });
    }
    this.#judgeDeletes(operation, vector);
    const causal = vector.size === 0 ? undefined : vector;
    const isVoid = as === "void" || as === "void-again";
    const parkedBefore = (name: KeyName) => origins.parkedBefore(this.context.view, dot, name);
    const { isApplied, hasArrived } = this;
    const facts = { isApplied, hasArrived, causal, isVoid, parkedBefore };
    const verdicts = judgeConflicts(this.context.view, operation, facts);
    if (verdicts !== undefined) this.local(verdicts);
    if (isAgain) {
      origins.unpark(dot);
      this.unparked = true;
    }
    return arisenIn(verdicts);
  }

  /** A version that is deleted may have been locked elsewhere meanwhile: then it comes back. */
  #judgeDeletes(operation: Operation, causal: Vector): void {
    const { kind } = operation.body;
    if (kind !== "version-delete" && kind !== "object-meta") return;
    if (!this.#hasOthers()) return;
    const records = judgeDeletes(this.context.view, operation, causal);
    for (const record of records) this.local(record);
  }

  #hasOthers(): boolean {
    if (!this.#deps.origins.isEmpty) return true;
    return this.context.view.rows(TABLES.site, "", "~").length > 1;
  }

  #countRun({ origin, seq }: Dot): void {
    const run = this.runs.get(origin);
    if (run === undefined) this.runs.set(origin, { firstSeq: seq, count: 1 });
    else run.count += 1;
  }

  #observe(hlc: Hlc): void {
    if (this.firstHlc === HLC_ZERO || hlc < this.firstHlc) this.firstHlc = hlc;
    if (hlc > this.lastHlc) this.lastHlc = hlc;
  }

  /** The context with what an operation's origin had received; kept while that is the same. */
  #contextOf(causal: Vector): ApplyContext {
    if (causal.size === 0) return this.context;
    if (this.#causal?.causal !== causal) this.#causal = { ...this.context, causal };
    return this.#causal;
  }

  /**
   * Adds a row of another site: an operation with its original dot, outside every hash chain. A row
   * that is here already is written again, and its body is read from the new place. `heads`: all
   * rows of that site up to there are being taken over. Gives the conflicts that it makes.
   */
  row(
    operation: Operation,
    inline: Uint8Array | undefined,
    heads: readonly LogStart[] | undefined,
  ): readonly NewConflict[] {
    const { clock, head } = this.#deps;
    const { isApplied, hasArrived } = this;
    const isThere = ({ origin, hlc }: WriteId): boolean =>
      heads?.some((head) => head.origin === origin && head.hlc >= hlc) === true;
    const isComing = (write: WriteId) => !hasArrived(write) && !isThere(write);
    const facts = { isApplied, isBootstrap: heads !== undefined, isComing };
    const verdicts = judgeRow(this.context.view, operation, facts);
    if (verdicts !== undefined) this.local(verdicts);
    for (const record of judgeRowDeletes(this.context.view, operation)) this.local(record);
    const recordOffset = this.records.length;
    this.#record("row", (writer) => encodeOperation(writer, operation));
    clock.observe(operation.hlc);
    if (operation.hlc > head.hlc) head.hlc = operation.hlc;
    this.#observe(operation.hlc);
    const place = this.#place(operation, recordOffset, inline);
    applyOperation(this.context, operation, { home: this.position.segment, body: place });
    return arisenIn(verdicts);
  }

  local(record: LocalRecord): void {
    this.#record("local", (writer) => encodeLocal(writer, record));
    if (record.kind === "bootstrap") this.#deps.origins.takeOver();
    if (record.kind === "floors") this.#deps.origins.startAt(record.heads);
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

  /** Notes the operation whose record was just written. */
  #note({ dot, group }: Operation, recordOffset: number, place: BatchBody["place"]): void {
    if (this.noted === undefined) return;
    const last = this.bodies.at(-1);
    const body = last?.place === place ? last : undefined;
    const start = recordOffset + RECORD_HEADER_BYTES;
    this.noted.push({ dot, group, start, end: this.records.length, body });
  }

  /**
   * Writes a record whose payload `encode` writes in place, without a copy; returns the payload.
   */
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
    writer.patchU32(start, this.#deps.hash.crc32(writer.slice(start + 4, end)));
    this.recordCount += 1;
    return writer.slice(payloadStart, end);
  }
}

function parkedKeyOf({ origin, seq }: Dot): string {
  return logRunKeyOf(origin, seq);
}

/** The manifests that an operation names. */
export function manifestsOf(body: OperationBody): readonly ManifestRef[] {
  if (body.kind !== "object-put" || body.object.body.kind !== "manifests") return [];
  return body.object.body.manifests;
}
