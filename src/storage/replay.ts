import { toHex } from "../core/bytes.ts";
import { effectiveVector, NOTHING_SEEN } from "../core/causality.ts";
import { StorageFault } from "../core/faults.ts";
import { HLC_ZERO, type Hlc } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import { decodeLocal } from "../core/local-codec.ts";
import { decodeManifest } from "../core/manifest-codec.ts";
import { makeVersionId, type OriginId, parseContentHash, SEQ_ZERO } from "../core/names.ts";
import { chainAfter, decodeOperation } from "../core/operation-codec.ts";
import type { OriginState } from "../core/origin-records.ts";
import type { Dot, LocalRecord, Operation, Vector } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv } from "../ports/kv.ts";
import type { ForeignRun, LogHead } from "./batch.ts";
import type { LogEnd } from "./commit-lane.ts";
import { hasBatchBehind, type ScannedBatch, type ScanRequest, scanBatches } from "./log-scan.ts";
import { applyLocal, applyManifest, applyOperation, isDropped } from "./metadata/apply.ts";
import type { ApplyContext } from "./metadata/apply-context.ts";
import { parkOperation } from "./metadata/apply-origins.ts";
import { DROPPED_KEY, logRunKeyOf, POSITION_KEY } from "./metadata/keys.ts";
import { ReferenceCounts } from "./metadata/references.ts";
import { TABLES } from "./metadata/rows.ts";
import { IndexView } from "./metadata/view.ts";
import { OriginLogs } from "./origin-logs.ts";
import { BATCH_HEADER_BYTES, batchRecords } from "./segment/batch.ts";
import { bodyOwner, bodyRecordBytes } from "./segment/record.ts";
import type { SegmentFacts, Segments } from "./segment/segments.ts";

/** A commit-lane segment in the replay; `batchesEnd` is where its footer begins, or its size. */
export type LogSegment = { readonly facts: SegmentFacts; readonly batchesEnd: number };

export type ReplayDeps = {
  readonly kv: Kv;
  readonly hash: Hash;
  readonly segments: Segments;
  readonly origin: OriginId;
  readonly log: readonly LogSegment[];
};

export type ReplayResult = {
  readonly head: LogHead;
  readonly origins: OriginLogs;
  readonly operations: number;
  /** Where batches end in segments that hold something torn behind them: cut them there. */
  readonly ends: ReadonlyMap<number, number>;
  /** Where the log ends now. */
  readonly position: { readonly segment: number; readonly offset: number };
};

/** Rows gathered before they are brought into the index in one sorted write. */
const ROWS_PER_WRITE = 20_000;
const NO_CHAIN = new Uint8Array(32);
const NO_HEAD = { seq: SEQ_ZERO, chain: NO_CHAIN, ownHlc: HLC_ZERO, vector: NOTHING_SEEN };

/** What a record in front of an operation says of it. */
type Special =
  | { readonly kind: "void" }
  | { readonly kind: "parked"; readonly reason: string }
  | { readonly kind: "again"; readonly vector: Vector };

/**
 * Brings the index up to the end of the log, from the position it has applied (or from nothing).
 * The same path serves a restart, a crash, a checkpoint and the rebuild.
 *
 * @throws StorageFault "corrupt" for anything but a torn end: nothing is ever cut there.
 */
export async function replayLog(deps: ReplayDeps): Promise<ReplayResult> {
  const replay = new Replay(deps);
  return await replay.run();
}

class Replay {
  readonly #deps: ReplayDeps;
  readonly #view: IndexView;
  readonly #context: ApplyContext;
  readonly #references: ReferenceCounts;
  readonly #origins: OriginLogs;
  #head: LogHead;
  #position: { segment: number; offset: number };
  #operations = 0;
  /** A dropped segment may lie between two batches: then the chains cannot be followed. */
  #gap = true;
  /** Behind such a place, the logs that have been taken up again. */
  readonly #takenUp = new Set<OriginId>();
  /** Operations of other origins in the batch at hand: new ones, and what is special about some. */
  #runs = new Map<OriginId, ForeignRun>();
  #special = new Map<string, Special>();
  readonly #ends = new Map<number, number>();
  /** Segments whose end is torn: by a batch where the log ends; else only a footer may be torn. */
  #open: Array<{ segment: number; offset: number; reason: string }> = [];
  #written = false;
  #writing: Promise<void> = Promise.resolve();
  #moved = false;

  constructor(deps: ReplayDeps) {
    this.#deps = deps;
    this.#view = new IndexView(deps.kv, deps.hash.crc32);
    this.#references = new ReferenceCounts(this.#view, { keepUnnamed: true });
    this.#context = { view: this.#view, references: this.#references };
    const applied = this.#view.get(TABLES.position, POSITION_KEY);
    // A new incarnation begins a log of its own; time goes on.
    const own = applied?.origin === deps.origin ? applied : undefined;
    const hlc = applied?.hlc ?? HLC_ZERO;
    const { seq, chain, ownHlc, vector } = own ?? NO_HEAD;
    this.#head = { seq, chain, hlc, ownHlc, vector };
    this.#origins = OriginLogs.load(this.#view);
    if (applied !== undefined && own === undefined && applied.seq > 0) {
      this.#origins.startAt([{ ...applied, hlc: applied.ownHlc }]);
    }
    this.#position = { segment: applied?.segment ?? 0, offset: applied?.offset ?? 0 };
    this.#gap = applied === undefined;
  }

  async run(): Promise<ReplayResult> {
    this.#checkPosition();
    let lastSegment = this.#position.segment;
    for (const segment of this.#deps.log) {
      const { id } = segment.facts;
      if (id < this.#position.segment) continue;
      if (lastSegment !== 0 && id > lastSegment + 1) this.#openGap();
      lastSegment = id;
      const resumed = id === this.#position.segment;
      const end = await this.#segment(segment, resumed ? this.#position.offset : LIMITS.pageBytes);
      if (end.whole) continue;
      if (segment.facts.sealed) throw damaged({ segment: id, ...end });
      this.#open.push({ segment: id, ...end });
      this.#ends.set(id, end.offset);
    }
    await this.#finish();
    return {
      head: this.#head,
      origins: this.#origins,
      operations: this.#operations,
      ends: this.#ends,
      position: this.#position,
    };
  }

  /** An index that is ahead of the log rests on something the log has lost. */
  #checkPosition(): void {
    const { segment, offset } = this.#position;
    if (segment === 0) return;
    const found = this.#deps.log.find(({ facts }) => facts.id === segment);
    // A segment that was dropped after it had been applied is behind us for good.
    if (found === undefined && this.#deps.log.some(({ facts }) => facts.id > segment)) return;
    if (found !== undefined && found.batchesEnd >= offset) return;
    throw new StorageFault("corrupt", "the index is ahead of the log", {
      hint: "The index is rebuilt from the log; if a segment was removed by hand, put it back.",
    });
  }

  #segment(
    { facts, batchesEnd }: LogSegment,
    from: number,
  ): Promise<{ offset: number; whole: boolean; reason: string }> {
    const { segments, hash } = this.#deps;
    return segments.use(facts.id, async (file) => {
      const request: ScanRequest = {
        file,
        segment: facts.id,
        from,
        to: batchesEnd,
        verifyBodies: !facts.sealed,
        crc32: hash.crc32,
      };
      const end = await scanBatches(request, (batch) => this.#batch(facts.id, batch));
      if (!end.whole && (await hasBatchBehind(request, end.offset))) {
        throw damaged({ segment: facts.id, ...end });
      }
      return end;
    });
  }

  #batch(segment: number, { header, records }: ScannedBatch): Promise<void> | undefined {
    this.#runs = new Map();
    this.#special = new Map();
    let continues: LogEnd = { segment: 0, offset: 0 };
    let bodyOffset = header.offset + BATCH_HEADER_BYTES + header.opsBytes;
    for (const { kind, payload } of batchRecords(records, this.#deps.hash.crc32)) {
      switch (kind) {
        case "op":
          bodyOffset += this.#operation("op", payload, { segment, offset: bodyOffset });
          break;
        case "row":
          bodyOffset += this.#operation("row", payload, { segment, offset: bodyOffset });
          break;
        case "local": {
          const record = decodeLocal(payload);
          if (record.kind === "log-continues") continues = record;
          this.#hear(record);
          applyLocal(this.#context, record, segment);
          break;
        }
        case "manifest":
          this.#manifest(payload, segment);
          break;
        case "body":
        case "chunk":
          throw new StorageFault("corrupt", `a ${kind} record among the operations`);
      }
    }
    this.#checkOpen(header.batchNumber, continues);
    for (const [origin, { firstSeq, count }] of this.#runs) {
      const key = logRunKeyOf(origin, firstSeq);
      this.#view.put(TABLES.logRun, key, { segment, offset: header.offset, count });
    }
    this.#position = { segment, offset: header.offset + header.batchBytes };
    this.#moved = true;
    if (this.#view.changed < ROWS_PER_WRITE) return undefined;
    // What nothing names is only known in memory: a crash now must not leave half of it behind.
    this.#view.put(TABLES.replaying, "", {});
    this.#written = true;
    return this.#write();
  }

  /**
   * Behind a torn end there is a whole batch. If it is the first of its segment it says where the
   * batches before it end: exactly there only the footer is torn, and a segment that the log has
   * passed over never held a batch. Anything else that is torn is damage.
   */
  #checkOpen(batchNumber: number, before: LogEnd): void {
    for (const open of this.#open) {
      const end = before.segment === open.segment ? before.offset : LIMITS.pageBytes;
      const whole = before.segment <= open.segment && open.offset === end;
      if (batchNumber !== 0 || !whole) throw damaged(open);
    }
    this.#open = [];
  }

  /** Applies an operation; gives the bytes of its inline body's record. */
  #operation(
    kind: "op" | "row",
    payload: Uint8Array,
    body: { segment: number; offset: number },
  ): number {
    const bytes = Buffer.from(payload);
    const operation = decodeOperation(bytes);
    this.#operations += 1;
    const special = this.#special.get(nameOf(operation.dot));
    if (operation.hlc > this.#head.hlc) this.#head = { ...this.#head, hlc: operation.hlc };
    // A row stands outside every chain, whoever wrote the operation that it came from.
    const vector = kind === "op" ? this.#follow(operation, bytes, special) : NOTHING_SEEN;
    if (special?.kind === "void") return 0;
    if (special?.kind === "parked") {
      const { reason } = special;
      parkOperation(this.#context, operation, { home: body.segment, reason, vector });
      return 0;
    }
    const inlineBytes = inlineRecordBytes(operation);
    // What lies in chunks has no place here; the commit says so by zero, and rows must be equal.
    const offset = inlineBytes === 0 ? 0 : body.offset;
    const place = { segment: body.segment, offset };
    const context = vector.size === 0 ? this.#context : { ...this.#context, causal: vector };
    applyOperation(context, operation, { home: body.segment, body: place });
    return inlineBytes;
  }

  /** Takes note of what a record says of logs, and of operations behind it in the batch. */
  #hear(record: LocalRecord): void {
    switch (record.kind) {
      case "operations-parked":
        for (const { reason, ...dot } of record.operations) {
          this.#special.set(nameOf(dot), { kind: "parked", reason });
          this.#origins.park(dot);
        }
        return;
      case "operations-void":
        for (const dot of record.operations) this.#special.set(nameOf(dot), { kind: "void" });
        return;
      case "operations-unparked":
        for (const { vector, ...dot } of record.operations) {
          this.#special.set(nameOf(dot), { kind: "again", vector });
          this.#origins.unpark(dot);
        }
        return;
      case "floors":
        this.#origins.startAt(record.heads);
        return;
      case "origin-heads":
        this.#takeUp(record.heads);
    }
  }

  #openGap(): void {
    this.#gap = true;
    this.#takenUp.clear();
  }

  /** At the beginning of a segment all logs are named; from here on they can be followed. */
  #takeUp(heads: readonly OriginState[]): void {
    for (const head of heads) {
      if (head.origin !== this.#deps.origin) this.#origins.startAt([head]);
      else if (head.seq > this.#head.seq) {
        const { seq, chain, vector } = head;
        this.#head = {
          seq,
          chain,
          vector,
          ownHlc: head.hlc,
          hlc: maxHlc(head.hlc, this.#head.hlc),
        };
      }
    }
    this.#gap = false;
  }

  /** Follows a log; across a dropped segment it is taken up again. Gives the vector. */
  #follow(operation: Operation, bytes: Uint8Array, special: Special | undefined): Vector {
    if (special?.kind === "again") return special.vector;
    const { dot, hlc, chainBefore } = operation;
    const own = dot.origin === this.#deps.origin;
    const before = own ? this.#head : this.#origins.state(dot.origin);
    const follows = dot.seq === (before?.seq ?? 0) + 1;
    const chained = Buffer.compare(chainBefore, before?.chain ?? NO_CHAIN) === 0;
    const mayBeAnywhere = this.#gap && !this.#takenUp.has(dot.origin);
    if (!mayBeAnywhere && !(follows && chained)) {
      throw new StorageFault("corrupt", `operation ${dot.seq} does not follow the one before`);
    }
    this.#takenUp.add(dot.origin);
    const run = this.#runs.get(dot.origin);
    if (run === undefined) this.#runs.set(dot.origin, { firstSeq: dot.seq, count: 1 });
    else run.count += 1;
    const sha256 = (input: Uint8Array) => this.#deps.hash.digest("SHA256", input);
    const chain = chainAfter(sha256, chainBefore, bytes);
    if (!own) return this.#origins.advance(operation, chain);
    const vector = effectiveVector(this.#head.vector, operation.vector);
    this.#head = { seq: dot.seq, chain, hlc: this.#head.hlc, ownHlc: hlc, vector };
    return vector;
  }

  #manifest(payload: Uint8Array, segment: number): void {
    const bytes = Buffer.from(payload);
    const hash = parseContentHash(toHex(this.#deps.hash.digest("BLAKE3", bytes)));
    if (hash === undefined) throw new StorageFault("corrupt", "a manifest has no hash");
    applyManifest(this.#context, { hash, chunks: decodeManifest(bytes) }, segment);
  }

  async #write(): Promise<void> {
    const { origin } = this.#deps;
    this.#origins.putRows(this.#view);
    this.#view.put(TABLES.position, POSITION_KEY, { ...this.#position, origin, ...this.#head });
    const changes = this.#view.takeBatch();
    const mutations = this.#view.mutationsOf(changes);
    mutations.sort((left, right) => Buffer.compare(left.key, right.key));
    // The index takes these rows while the next ones are made; one transaction at a time.
    await this.#writing;
    this.#writing = this.#deps.kv.write(mutations).then(() => this.#view.applied(changes));
    // Whoever waits for it hears of a failure: the next write, or the end.
    this.#writing.catch(nothing);
  }

  /**
   * A copy of the index that is older than a drop may hold rows whose removal was dropped as well,
   * together with what it removed: such rows rest on a segment that is gone.
   */
  #checkHomes(): void {
    const runs = this.#view.get(TABLES.dropped, DROPPED_KEY)?.record.segments ?? [];
    if (runs.length === 0) return;
    for (const { key } of this.#view.rows(TABLES.segment, "", "~")) {
      if (!isDropped(runs, Number(key))) continue;
      throw new StorageFault("corrupt", `rows rest on segment ${Number(key)}, which was dropped`);
    }
  }

  async #finish(): Promise<void> {
    this.#references.sweep();
    this.#checkHomes();
    if (this.#written) this.#view.remove(TABLES.replaying, "");
    this.#origins.putRows(this.#view);
    if (this.#moved || this.#view.changed > 0) await this.#write();
    await this.#writing;
  }
}

function nameOf({ origin, seq }: Dot): string {
  return `${origin}/${seq}`;
}

function maxHlc(left: Hlc, right: Hlc): Hlc {
  return left > right ? left : right;
}

function inlineRecordBytes({ body, hlc, dot }: Operation): number {
  if (body.kind !== "object-put" || body.object.body.kind !== "inline") return 0;
  const owner = bodyOwner(body.bucket, body.key, makeVersionId(hlc, dot.origin));
  return bodyRecordBytes(owner.length, body.object.body.bytes);
}

function damaged(at: { segment: number; offset: number; reason: string }): StorageFault {
  const where = `segment ${at.segment}, offset ${at.offset}: ${at.reason}`;
  return new StorageFault("corrupt", `the log is damaged at ${where}`, {
    hint: "Nothing was cut. Restore the segment from a backup, or this site from another one.",
  });
}

function nothing(): void {
  // See where it is used.
}
