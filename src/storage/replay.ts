import { toHex } from "../core/bytes.ts";
import { NOTHING_SEEN } from "../core/causality.ts";
import { StorageFault } from "../core/faults.ts";
import { HLC_ZERO } from "../core/hlc.ts";
import { ignore } from "../core/ignore.ts";
import { LIMITS } from "../core/limits.ts";
import { decodeLocal } from "../core/local-codec.ts";
import { decodeManifest } from "../core/manifest-codec.ts";
import { type OriginId, parseContentHash, SEQ_ZERO } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { Operation, OperationBody, Vector } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv } from "../ports/kv.ts";
import type { LogHead } from "./batch.ts";
import { ChainChecks } from "./chain-checks.ts";
import type { LogEnd } from "./commit-lane.ts";
import { GatheredRows } from "./gathered-rows.ts";
import { LeftOut, LostNames, recordsBefore } from "./left-out.ts";
import { type BatchPlace, inlineRecordBytes } from "./log-batch.ts";
import { hasBatchBehind, type ScannedBatch, type ScanRequest, scanBatches } from "./log-scan.ts";
import { applyLocal, applyManifest, applyOperation, isDropped } from "./metadata/apply.ts";
import type { ApplyContext } from "./metadata/apply-context.ts";
import { parkOperation } from "./metadata/apply-origins.ts";
import { DROPPED_KEY, POSITION_KEY } from "./metadata/keys.ts";
import { ReferenceCounts } from "./metadata/references.ts";
import { TABLES } from "./metadata/rows.ts";
import { IndexView } from "./metadata/view.ts";
import { OriginLogs } from "./origin-logs.ts";
import { PlainWrites } from "./plain-writes.ts";
import { ReplayLogs } from "./replay-logs.ts";
import { BATCH_HEADER_BYTES, type BatchRecord, verifiedRecord } from "./segment/batch.ts";
import { opPayloadAt } from "./segment/record.ts";
import type { SegmentFacts, Segments } from "./segment/segments.ts";
import { type Special, SpecialOperations } from "./special-operations.ts";
import type { Withdrawals } from "./withdrawn.ts";

/** A commit-lane segment in the replay; `batchesEnd` is where its footer begins, or its size. */
export type LogSegment = { readonly facts: SegmentFacts; readonly batchesEnd: number };

export type ReplayDeps = {
  readonly kv: Kv;
  readonly hash: Hash;
  readonly segments: Segments;
  readonly origin: OriginId;
  readonly log: readonly LogSegment[];
  /** Tells how fast the log is read. */
  readonly clock: Clock;
  readonly withdrawals: Withdrawals;
};

export type ReplayResult = {
  readonly head: LogHead;
  readonly origins: OriginLogs;
  readonly operations: number;
  /** Where the last whole batch of a segment with a torn end stops: it is cut there. */
  readonly ends: ReadonlyMap<number, number>;
  /** Where the log ends now. */
  readonly position: { readonly segment: number; readonly offset: number };
  /** The batches with operations that are withdrawn just now, in the order of the log. */
  readonly withdrawing: readonly BatchPlace[];
};

/** So many changed rows are brought into the index in one sorted write. */
const ROWS_PER_WRITE = 20_000;
/** About what an operation takes in the log, without its body. */
const OPERATION_BYTES = 200;
const NO_CHAIN = new Uint8Array(32);
const NO_HEAD = { seq: SEQ_ZERO, chain: NO_CHAIN, ownHlc: HLC_ZERO, vector: NOTHING_SEEN };

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
  readonly #rows: GatheredRows;
  readonly #view: IndexView;
  readonly #context: ApplyContext;
  readonly #references: ReferenceCounts;
  readonly #checks: ChainChecks;
  readonly #logs: ReplayLogs;
  /** Only of an index that was empty: what another one holds is not known, so nothing is plain. */
  readonly #plain: PlainWrites | undefined;
  readonly #lostNames: LostNames;
  /** Only while operations are being withdrawn. */
  readonly #leftOut?: LeftOut;
  #position: { segment: number; offset: number };
  /** The batch that is being applied. */
  #batchPlace: BatchPlace = { segment: 0, offset: 0 };
  #operations = 0;
  /** What records of the current batch say of operations behind them. */
  readonly #special = new SpecialOperations();
  readonly #ends = new Map<number, number>();
  /** Segments with a torn end: a torn batch where the log ends, elsewhere at most a torn footer. */
  #open: Array<{ segment: number; offset: number; reason: string }> = [];
  #written = false;
  #writing: Promise<void> = Promise.resolve();
  #moved = false;

  constructor(deps: ReplayDeps) {
    this.#deps = deps;
    const { hash } = deps;
    const logBytes = deps.log.reduce((sum, { batchesEnd }) => sum + batchesEnd, 0);
    this.#rows = new GatheredRows(deps.kv, logBytes);
    this.#view = new IndexView(this.#rows, hash.crc32);
    this.#references = new ReferenceCounts(this.#view, { keepUnnamed: true });
    this.#context = { view: this.#view, references: this.#references };
    this.#lostNames = new LostNames(this.#context, deps.withdrawals);
    this.#checks = new ChainChecks(hash);
    const applied = this.#view.get(TABLES.position, POSITION_KEY);
    // A new incarnation begins a log of its own; time goes on.
    const own = applied?.origin === deps.origin ? applied : undefined;
    const { seq, chain, ownHlc, vector } = own ?? NO_HEAD;
    const head = { seq, chain, hlc: applied?.hlc ?? HLC_ZERO, ownHlc, vector };
    const origins = OriginLogs.load(this.#view);
    if (applied !== undefined && own === undefined && applied.seq > 0) {
      origins.startAt([{ ...applied, hlc: applied.ownHlc }]);
    }
    const gap = applied === undefined;
    this.#logs = new ReplayLogs({ ...deps, checks: this.#checks, head, origins, gap });
    if (deps.withdrawals.isWithdrawing) this.#leftOut = new LeftOut(this.#context);
    const parts = { rows: this.#rows, context: this.#context, logs: this.#logs };
    const keysExpected = logBytes / OPERATION_BYTES;
    const isEmpty = applied === undefined && deps.kv.count() === 0;
    const { crc32 } = hash;
    this.#plain = isEmpty ? new PlainWrites({ ...parts, crc32, keysExpected }) : undefined;
    this.#position = { segment: applied?.segment ?? 0, offset: applied?.offset ?? 0 };
  }

  async run(): Promise<ReplayResult> {
    let lastSegment = this.#position.segment;
    for (const segment of this.#deps.log) {
      const { id } = segment.facts;
      if (id < this.#position.segment) continue;
      if (lastSegment !== 0 && id > lastSegment + 1) this.#logs.openGap();
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
      head: this.#logs.head,
      origins: this.#logs.origins,
      operations: this.#operations,
      ends: this.#ends,
      position: this.#position,
      withdrawing: this.#leftOut?.places ?? [],
    };
  }

  #segment(
    { facts, batchesEnd }: LogSegment,
    from: number,
  ): Promise<{ offset: number; whole: boolean; reason: string }> {
    const { segments, hash, clock } = this.#deps;
    return segments.use(facts.id, async (file) => {
      const request: ScanRequest = {
        file,
        segment: facts.id,
        from,
        to: batchesEnd,
        verifyBodies: !facts.sealed,
        crc32: hash.crc32,
        monotonicMs: () => clock.monotonicMs(),
      };
      const end = await scanBatches(request, (batch) => this.#batch(facts.id, batch));
      if (!end.whole && (await hasBatchBehind(request, end.offset))) {
        throw damaged({ segment: facts.id, ...end });
      }
      return end;
    });
  }

  async #batch(segment: number, { header, records }: ScannedBatch): Promise<void> {
    this.#logs.beginBatch();
    this.#special.clear();
    this.#batchPlace = { segment, offset: header.offset };
    const causes = recordsBefore(records, segment, this.#deps);
    let continues: LogEnd = { segment: 0, offset: 0 };
    const body = { segment, offset: header.offset + BATCH_HEADER_BYTES + header.opsBytes };
    for (let at = 0; at < records.length; ) {
      const plain = this.#plainPut(records, at, body);
      if (plain === "flush") await this.#flush();
      else if (plain === "flush versions") await this.#flushVersions();
      else if (plain === undefined) {
        // What is applied the long way may look for versions, which must be stored by then.
        if (this.#rows.versions > 0) await this.#cutVersions();
        const record = verifiedRecord(records, at, this.#deps.hash.crc32);
        continues = this.#record(record, body, causes.get(at)) ?? continues;
        at = record.nextOffset;
      } else at = plain;
    }
    this.#checkOpen(header.batchNumber, continues);
    this.#logs.putRuns(this.#view, this.#batchPlace);
    this.#position = { segment, offset: header.offset + header.batchBytes };
    this.#moved = true;
    if (this.#checks.isBehind) await this.#checks.catchUp();
    if (this.#view.changed >= ROWS_PER_WRITE) await this.#writePart();
  }

  /** Applies the record at `at` without decoding it, if it can. Gives where the next one is. */
  #plainPut(
    records: Buffer,
    at: number,
    body: { segment: number; offset: number },
  ): ReturnType<PlainWrites["apply"]> {
    if (this.#plain === undefined || this.#special.size > 0) return undefined;
    if (this.#deps.withdrawals.standsAmong(body.segment)) return undefined;
    const from = opPayloadAt(records, at, this.#deps.hash.crc32);
    if (from === undefined) return undefined;
    const to = from + records.readUInt32LE(at + 8);
    const bodyBytes = this.#plain.apply({ bytes: records, from, to }, body);
    if (typeof bodyBytes !== "number") return bodyBytes;
    this.#operations += 1;
    body.offset += bodyBytes;
    return to;
  }

  /** Applies a record. Returns where the segment before ends, when the record says so. */
  #record(
    { kind, payload }: BatchRecord,
    body: { segment: number; offset: number },
    cause: OperationBody | undefined,
  ): LogEnd | undefined {
    this.#plain?.settle();
    switch (kind) {
      case "op":
      case "row":
        body.offset += this.#operation(kind, payload, body);
        return undefined;
      case "local": {
        const local = decodeLocal(Buffer.from(payload));
        const record = this.#deps.withdrawals.without(local, body.segment, cause);
        if (record === undefined) return undefined;
        this.#plain?.note(record);
        this.#logs.hear(record, body.segment);
        this.#special.hear(record, this.#logs.origins);
        applyLocal(this.#context, record, body.segment);
        this.#lostNames.hear(record, body.segment);
        return record.kind === "log-continues" ? record : undefined;
      }
      case "manifest":
        this.#manifest(payload, body.segment);
        return undefined;
      case "body":
      case "chunk":
        throw new StorageFault("corrupt", `a ${kind} record among the operations`);
    }
  }

  /**
   * Called for a whole batch behind a torn end. If it begins its segment, it says where the batches
   * before it end. When that is exactly there, only a footer is torn, and a segment that the log
   * has passed over never held a batch. Anything else that is torn is damage.
   */
  #checkOpen(batchNumber: number, before: LogEnd): void {
    for (const open of this.#open) {
      const end = before.segment === open.segment ? before.offset : LIMITS.pageBytes;
      const whole = before.segment <= open.segment && open.offset === end;
      if (batchNumber !== 0 || !whole) throw damaged(open);
    }
    this.#open = [];
  }

  /** Applies an operation; returns the bytes of its inline body's record. */
  #operation(
    kind: "op" | "row",
    payload: Uint8Array,
    body: { readonly segment: number; readonly offset: number },
  ): number {
    const bytes = Buffer.from(payload);
    const operation = decodeOperation(bytes);
    if (kind === "op" && this.#leavesOut(operation)) return inlineRecordBytes(operation);
    this.#operations += 1;
    this.#plain?.note(operation.body);
    const special = this.#special.of(operation.dot);
    this.#logs.observe(operation.hlc);
    // A row stands outside every chain, whoever wrote the operation that it came from.
    const vector = kind === "op" ? this.#follow(operation, bytes, special) : NOTHING_SEEN;
    const home = body.segment;
    this.#lostNames.note(operation, home, special?.kind === "parked");
    if (special?.kind === "parked") {
      parkOperation(this.#context, operation, { home, reason: special.reason, vector });
      return 0;
    }
    if (special?.kind === "void") return 0;
    const inlineBytes = inlineRecordBytes(operation);
    // A body in chunks has offset 0, as the commit writes it: rows must come out equal.
    const offset = inlineBytes === 0 ? 0 : body.offset;
    const context = vector.size === 0 ? this.#context : { ...this.#context, causal: vector };
    applyOperation(context, operation, { home, body: { segment: home, offset } });
    return inlineBytes;
  }

  #leavesOut(operation: Operation): boolean {
    const place = this.#batchPlace;
    if (!this.#deps.withdrawals.leavesOut(operation, place.segment)) return false;
    this.#logs.passOver(operation.dot, place.segment);
    this.#leftOut?.add(operation.body, place);
    return true;
  }

  #follow(operation: Operation, bytes: Buffer, special: Special | undefined): Vector {
    return special?.kind === "again" ? special.vector : this.#logs.follow(operation, bytes);
  }

  #manifest(payload: Uint8Array, segment: number): void {
    const bytes = Buffer.from(payload);
    const hash = parseContentHash(toHex(this.#deps.hash.digest("BLAKE3", bytes)));
    if (hash === undefined) throw new StorageFault("corrupt", "a manifest has no hash");
    applyManifest(this.#context, { hash, chunks: decodeManifest(bytes) }, segment);
  }

  /** What nothing names yet is known in memory alone: a crash must not leave half a replay. */
  async #writePart(): Promise<void> {
    this.#view.put(TABLES.replaying, "", {});
    this.#written = true;
    await this.#write();
  }

  /** Writes gathered rows into the index while the next ones are gathered. */
  async #flush(): Promise<void> {
    if (!this.#written) await this.#writePart();
    await this.#rows.flush();
  }

  async #flushVersions(): Promise<void> {
    if (!this.#written) await this.#writePart();
    await this.#rows.flushVersions();
  }

  async #cutVersions(): Promise<void> {
    this.#plain?.cutVersions(this.#rows.versions);
    await this.#flushVersions();
  }

  async #write(): Promise<void> {
    const { origin } = this.#deps;
    this.#plain?.settle();
    const { head, origins } = this.#logs;
    origins.putRows(this.#view);
    this.#view.put(TABLES.position, POSITION_KEY, { ...this.#position, origin, ...head });
    const changes = this.#view.takeBatch();
    const mutations = this.#view.mutationsOf(changes);
    mutations.sort((left, right) => Buffer.compare(left.key, right.key));
    // The index takes these rows while the next ones are made; one transaction at a time.
    await this.#writing;
    this.#writing = this.#rows.write(mutations).then(() => this.#view.applied(changes));
    // Whoever waits for it hears of a failure: the next write, or the end.
    this.#writing.catch(ignore);
  }

  /**
   * A copy of the index that is older than a drop may hold rows whose removal was dropped as well,
   * together with what it removed: such rows rest on a segment that is gone. So do rows that were
   * replaced by what is withdrawn, until that has been issued again: no index is kept of it.
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
    await this.#checks.finish();
    this.#plain?.settle();
    this.#leftOut?.keepBytes();
    this.#references.sweep();
    if (this.#leftOut === undefined) this.#checkHomes();
    if (this.#rows.versions > 0) await this.#flushVersions();
    if (this.#rows.hasGathered) await this.#flush();
    if (this.#written) this.#view.remove(TABLES.replaying, "");
    this.#logs.settle();
    this.#logs.origins.putRows(this.#view);
    if (this.#moved || this.#view.changed > 0) await this.#write();
    await this.#writing;
  }
}

function damaged(at: { segment: number; offset: number; reason: string }): StorageFault {
  const where = `segment ${at.segment}, offset ${at.offset}: ${at.reason}`;
  return new StorageFault("corrupt", `the log is damaged at ${where}`, {
    hint: "Nothing was cut. Restore the segment from a backup, or this site from another one.",
  });
}
