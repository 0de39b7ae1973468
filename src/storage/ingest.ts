import { LayoutError, toHex } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { hlcMs } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import { type OriginId, parseOriginId, parseSeq, SEQ_ZERO, type Seq } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import { hasWritableDates } from "../core/operation-dates.ts";
import type { SignedHead } from "../core/origin-records.ts";
import type { Dot, Operation } from "../core/records.ts";
import type { Log } from "../ports/log.ts";
import type { ForeignOperation, OpenBatch } from "./batch.ts";
import { endUploadsOfGone } from "./buckets.ts";
import { ChainedEntry } from "./chained-entry.ts";
import { sayDeleteAgain } from "./deletes-again.ts";
import { hasBytes, isNamedRightly, takeManifest } from "./incoming-bytes.ts";
import { BOOTSTRAP_KEY, logRunKeyOf } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import type { NewConflict } from "./new-conflicts.ts";
import { stagedChunks } from "./objects.ts";
import type { OriginLogs } from "./origin-logs.ts";
import { sayRemote } from "./remote-manifests.ts";
import type { IncomingOperation, IngestOutcome } from "./replica.ts";
import type { StoreParts } from "./store-parts.ts";

export type IngestDeps = {
  readonly parts: Pick<
    StoreParts,
    "committer" | "admission" | "clock" | "hash" | "timeBounds" | "mayStamp"
  >;
  readonly origins: OriginLogs;
  readonly origin: OriginId;
  /** Seq of the last own operation, with what is ahead in line. */
  readonly ownSeq: () => Seq;
  readonly log: Pick<Log, "info">;
};

type Reason = Extract<IngestOutcome, { outcome: "refused" }>["reason"];

/** An operation that could be decoded, and its index in what was handed over. */
type Readable = {
  readonly at: number;
  readonly incoming: IncomingOperation;
  readonly operation: Operation;
};

/** Operations that enter the log together or not at all. */
type Unit = readonly Readable[];

const NO_CHAIN = new Uint8Array(32);
const NO_BYTES = new Uint8Array(0);
/** About what an operation takes in a batch beside its own bytes. */
const RECORD_BYTES = 256;
/**
 * The most that one commit takes of incoming operations, so that writes of clients need not wait
 * long.
 */
const COMMIT_BYTES = LIMITS.batchBytesMaxBuffered;

/**
 * Takes operations of other origins into the log in the given order, each group in one commit. One
 * that is here already is a duplicate; one that was parked is applied when it arrives whole.
 * Returns an outcome for each, once it is durable and visible.
 *
 * @throws StorageFault "disk-full" or "busy": some may have been taken, and are duplicates the next
 * time.
 */
export async function ingest(
  deps: IngestDeps,
  operations: readonly IncomingOperation[],
  heads: readonly SignedHead[],
): Promise<readonly IngestOutcome[]> {
  const run = new Ingest(deps, operations.length, heads);
  const units = run.read(operations);
  const staged = operations.flatMap(({ state }) =>
    state.kind === "whole" ? state.manifests.flatMap((one) => one.staged ?? []) : [],
  );
  try {
    const conflicts = run.conflicts;
    const commits = commitsOf(units).map((commit) => run.submit(commit));
    if (commits.length === 0 && heads.length > 0) commits.push(run.submit([]));
    await Promise.all(commits);
    for (const name of conflicts)
      deps.log.info(name, "a write lost to one that did not know of it");
  } finally {
    // Rows name the chunks now, or nothing does: the pins have done their work.
    for (const body of staged) stagedChunks(body).release();
  }
  return run.outcomes();
}

class Ingest {
  readonly #deps: IngestDeps;
  readonly #outcomes: Array<IngestOutcome | undefined>;
  readonly #heads: readonly SignedHead[];
  /** Conflicts that arose. */
  readonly conflicts: NewConflict[] = [];
  /** Origins with a refused operation: nothing more of them is taken. */
  readonly #stopped = new Set<OriginId>();

  constructor(deps: IngestDeps, count: number, heads: readonly SignedHead[]) {
    this.#deps = deps;
    this.#outcomes = new Array<IngestOutcome | undefined>(count).fill(undefined);
    this.#heads = heads;
  }

  outcomes(): readonly IngestOutcome[] {
    return this.#outcomes.map((outcome) => outcome ?? refusal("gap", undefined, "it was left out"));
  }

  /** Decodes what was handed over, and puts groups together. */
  read(operations: readonly IncomingOperation[]): Unit[] {
    const units: Readable[][] = [];
    for (const [at, incoming] of operations.entries()) {
      const readable = this.#readOne(at, incoming);
      if (readable === undefined) continue;
      const last = units.at(-1);
      if (last !== undefined && belongsTo(last, readable)) last.push(readable);
      else units.push([readable]);
    }
    return units;
  }

  #readOne(at: number, incoming: IncomingOperation): Readable | undefined {
    try {
      return { at, incoming, operation: decodeOperation(incoming.encoded) };
    } catch (failure) {
      const reason = reasonOf(failure);
      if (reason === undefined || !(failure instanceof Error)) throw failure;
      const dot = dotOf(incoming.encoded);
      this.#outcomes[at] = refusal(reason, dot, failure.message);
      if (dot !== undefined) this.#stopped.add(dot.origin);
      return undefined;
    }
  }

  async submit(units: readonly Unit[]): Promise<void> {
    const { committer, admission } = this.#deps.parts;
    const bytes = units.reduce((sum, unit) => sum + bytesOf(unit), RECORD_BYTES);
    admission.admit(bytes);
    await committer.submit<void>(bytes, (batch) => {
      for (const unit of units) this.#take(batch, unit);
      this.#keepHeads(batch);
    });
  }

  #take(batch: OpenBatch, unit: Unit): void {
    const judged = this.#judge(batch, unit);
    const applied: Array<readonly [Operation, readonly NewConflict[]]> = [];
    for (const [index, readable] of unit.entries()) {
      const verdict = judged[index];
      if (verdict === undefined) continue;
      if ("outcome" in verdict) {
        this.#outcomes[readable.at] = verdict;
        if (verdict.outcome === "refused") this.#stopped.add(readable.operation.dot.origin);
        continue;
      }
      const { state } = readable.incoming;
      if (state.kind === "whole") for (const one of state.manifests) takeManifest(batch, one);
      if (state.kind === "remote" && !isParkedAs(verdict)) sayRemote(batch, verdict.operation);
      applied.push([verdict.operation, batch.foreign(verdict)]);
      const { body } = verdict.operation;
      if (body.kind === "bucket-delete") endUploadsOfGone(batch, body.bucket);
      this.#outcomes[readable.at] = { outcome: outcomeOf(verdict.as) };
    }
    for (const [operation, conflicts] of applied) {
      sayDeleteAgain(batch, this.#deps.parts, operation, conflicts);
      this.conflicts.push(...conflicts);
    }
  }

  /**
   * What becomes of a unit: a refusal or "duplicate" for each of its operations, or what is to be
   * written. Nothing is written before the whole group has been judged.
   */
  #judge(batch: OpenBatch, unit: Unit): ReadonlyArray<IngestOutcome | ForeignOperation> {
    const first = unit[0]?.operation;
    if (first === undefined) return [];
    const { origin } = first.dot;
    if (this.#stopped.has(origin)) {
      return unit.map(({ operation }) =>
        refusal("gap", operation.dot, "an earlier one was refused"),
      );
    }
    const parkedAs = unit
      .map(({ incoming }) => incoming.state)
      .find((one) => one.kind === "parked");
    const verdicts: Array<IngestOutcome | ForeignOperation> = [];
    let head = this.#headOf(origin);
    const isComplete = first.group === undefined || unit.length === first.group.count;
    for (const readable of unit) {
      const verdict = this.#judgeOne(batch, readable, head, parkedAs?.reason);
      if ("outcome" in verdict && verdict.outcome === "refused") {
        // A group is taken as a whole or not at all.
        return unit.map(({ operation: { dot } }) => ({ ...verdict, dot }));
      }
      const isNew = !("outcome" in verdict) && readable.operation.dot.seq > head.seq;
      if (!isComplete && (isNew || waitsForGroup(batch, readable.operation))) {
        return unit.map(({ operation: { dot } }) => refusal("gap", dot, "its group is not whole"));
      }
      verdicts.push(verdict);
      if (isNew) head = { seq: readable.operation.dot.seq, chain: verdict.chain };
    }
    return verdicts;
  }

  #judgeOne(
    batch: OpenBatch,
    { incoming, operation }: Readable,
    head: LogPlace,
    parkedReason: string | undefined,
  ): IngestOutcome | ForeignOperation {
    const { parts, origin } = this.#deps;
    const { dot } = operation;
    const chain = this.#chainAfter(incoming);
    const isParked = this.#deps.origins.isParked(dot);
    const { encoded } = incoming;
    const inline = inlineOf(incoming);
    if (dot.seq <= head.seq) {
      if (dot.seq === head.seq && !isParked && !sameBytes(chain, head.chain)) {
        return refusal("chain", dot, "another operation stands in its place");
      }
      const { kind } = incoming.state;
      if (!isParked || parkedReason !== undefined) return { outcome: "duplicate" };
      if (kind !== "void" && isBeingTakenOver(batch, dot)) {
        return refusal("gap", dot, "rows that say what became of it are being taken over");
      }
      if (kind !== "void" && !hasBytes(batch, operation, incoming)) return noBytes(dot);
      const as = kind === "void" ? "void-again" : "again";
      return { operation, encoded, chain, inline, as };
    }
    if (dot.origin === origin) {
      return refusal("chain", dot, "it says it is ours, and this log does not have it");
    }
    if (dot.seq > head.seq + 1) return refusal("gap", dot, `${head.seq + 1} is missing`);
    if (!sameBytes(operation.chainBefore, head.chain)) {
      return refusal("chain", dot, "it continues another history of its origin");
    }
    const aheadMs = hlcMs(operation.hlc) - parts.clock.nowMs();
    if (aheadMs > parts.timeBounds.clockDriftMs) {
      return refusal("clock", dot, `its clock is ${aheadMs} ms ahead`);
    }
    if (!hasWritableDates(operation.body)) {
      return refusal("damaged", dot, "it is dated where no calendar reaches");
    }
    if (parkedReason !== undefined) {
      return { operation, encoded, chain, inline, as: { parked: parkedReason } };
    }
    if (incoming.state.kind === "void") return { operation, encoded, chain, inline, as: "void" };
    if (!hasBytes(batch, operation, incoming) || !this.#areNamedRightly(incoming)) {
      return noBytes(dot);
    }
    return { operation, encoded, chain, inline, as: "whole" };
  }

  #headOf(origin: OriginId): LogPlace {
    // Nothing comes in of our own log: what is in it is a duplicate, whatever its chain says.
    if (origin === this.#deps.origin) return { seq: this.#deps.ownSeq(), chain: undefined };
    return this.#deps.origins.state(origin) ?? { seq: SEQ_ZERO, chain: NO_CHAIN };
  }

  #chainAfter({ encoded, inline, chained }: IncomingOperation): Buffer {
    if (chained?.encoded === encoded) return chained.chain;
    return new ChainedEntry(this.#deps.parts.hash, { encoded, inline }).chain;
  }

  #areNamedRightly({ state }: IncomingOperation): boolean {
    const { hash } = this.#deps.parts;
    return state.kind !== "whole" || state.manifests.every((one) => isNamedRightly(hash, one));
  }

  /** Keeps the signatures of places that the log has reached, each once. */
  #keepHeads(batch: OpenBatch): void {
    const heads = this.#heads.filter(({ origin, seq, chain }) => {
      const state = this.#deps.origins.state(origin);
      if (state?.seq !== seq || !sameBytes(state.chain, chain)) return false;
      const key = logRunKeyOf(origin, seq);
      return batch.context.view.get(TABLES.signedHead, key) === undefined;
    });
    if (heads.length > 0) batch.local({ kind: "heads-signed", heads });
  }
}

/**
 * Parked operations of a group may come one by one, if they come in their order. What stands in
 * front of the group and is parked as well has nothing to do with it: it may wait for the group.
 */
function waitsForGroup({ context: { view } }: OpenBatch, { dot, group }: Operation): boolean {
  if (view.get(TABLES.parked, logRunKeyOf(dot.origin, dot.seq)) === undefined) return false;
  for (let seq = dot.seq - (group?.count ?? 1) + 1; seq < dot.seq; seq++) {
    const earlier = view.get(TABLES.parked, logRunKeyOf(dot.origin, seq));
    if (earlier !== undefined && earlier.group === group?.id) return true;
  }
  return false;
}

/** A place in a log; of our own log only the sequence is known here. */
type LogPlace = { readonly seq: number; readonly chain: Uint8Array | undefined };

function belongsTo(unit: readonly Readable[], { operation }: Readable): boolean {
  const { group, dot } = operation;
  const last = unit.at(-1)?.operation;
  if (group === undefined || last?.group === undefined) return false;
  return last.dot.origin === dot.origin && last.group.id === group.id && last.dot.seq < dot.seq;
}

/** Units that share a commit. */
function commitsOf(units: readonly Unit[]): Unit[][] {
  const commits: Unit[][] = [];
  let bytes = 0;
  for (const unit of units) {
    const more = bytesOf(unit);
    const last = commits.at(-1);
    if (last !== undefined && bytes + more <= COMMIT_BYTES) last.push(unit);
    else {
      commits.push([unit]);
      bytes = 0;
    }
    bytes += more;
  }
  return commits;
}

function bytesOf(unit: Unit): number {
  return unit.reduce((sum, { incoming: { encoded, inline } }) => {
    return sum + RECORD_BYTES + encoded.length + (inline?.length ?? 0);
  }, 0);
}

/** An empty body may arrive as no body. */
function inlineOf({ inline, state }: IncomingOperation): Uint8Array | undefined {
  return inline ?? (state.kind === "whole" || state.kind === "remote" ? NO_BYTES : undefined);
}

function sameBytes(left: Uint8Array, right: Uint8Array | undefined): boolean {
  return right === undefined || Buffer.compare(left, right) === 0;
}

function outcomeOf(as: ForeignOperation["as"]): "applied" | "parked" | "void" {
  if (typeof as === "object") return "parked";
  return as === "void" || as === "void-again" ? "void" : "applied";
}

/**
 * Whether an operation is parked together with others of its group: then what it names is fetched
 * later.
 */
function isParkedAs({ as }: ForeignOperation): boolean {
  return typeof as === "object";
}

/** Whether a bootstrap that is under way brings what is left of an operation. */
function isBeingTakenOver({ context: { view } }: OpenBatch, { origin, seq }: Dot): boolean {
  const heads = view.get(TABLES.bootstrap, BOOTSTRAP_KEY)?.record.heads ?? [];
  return heads.some((head) => head.origin === origin && head.seq >= seq);
}

function noBytes(dot: Dot): IngestOutcome {
  return refusal("bytes", dot, "its bytes are not here");
}

function refusal(reason: Reason, dot: Dot | undefined, message: string): IngestOutcome {
  return { outcome: "refused", reason, dot, message };
}

function reasonOf(failure: unknown): Reason | undefined {
  if (failure instanceof LayoutError) return "damaged";
  const isNewer = failure instanceof StorageFault && failure.kind === "unsupported";
  return isNewer ? "unsupported" : undefined;
}

/** The dot of an encoded operation, read from its first bytes alone. */
function dotOf(encoded: Uint8Array): Dot | undefined {
  if (encoded.length < 16) return undefined;
  const origin = parseOriginId(toHex(encoded.subarray(0, 8)));
  const seq = parseSeq(Number(Buffer.from(encoded).readBigUInt64LE(8)));
  return origin === undefined || seq === undefined ? undefined : { origin, seq };
}
