import { HLC_ZERO, type Hlc, parseHlc } from "../../src/core/hlc.ts";
import {
  type BucketName,
  makeVersionId,
  type ObjectKey,
  type OriginId,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  type Seq,
  type VersionId,
} from "../../src/core/names.ts";
import type {
  Dot,
  LocalRecord,
  ObjectRecord,
  Operation,
  OperationBody,
  Vector,
  WriteStamp,
} from "../../src/core/records.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { applyLocal, applyOperation } from "../../src/storage/metadata/apply.ts";
import type { ApplyContext } from "../../src/storage/metadata/apply-context.ts";
import { judgeConflicts, judgeOwn } from "../../src/storage/metadata/judge-conflicts.ts";
import { judgeDeletes } from "../../src/storage/metadata/judge-deletes.ts";
import type { WriteId } from "../../src/storage/metadata/key-versions.ts";
import { segmentKeyOf } from "../../src/storage/metadata/keys.ts";
import { priorOf } from "../../src/storage/metadata/prior.ts";
import { ReferenceCounts } from "../../src/storage/metadata/references.ts";
import { TABLES } from "../../src/storage/metadata/rows.ts";
import { IndexView } from "../../src/storage/metadata/view.ts";
import { MapKv } from "./map-kv.ts";

export const BUCKET: BucketName = required(parseBucketName("bucket"), "bucket");
export const KEYS: readonly ObjectKey[] = ["a", "dir/b"].map((key) =>
  required(parseObjectKey(key), "key"),
);
export const ORIGINS: readonly OriginId[] = ["aa", "bb", "cc"].map((pair) => {
  return required(parseOriginId(pair.repeat(8)), "origin");
});

export function hlcAt(tick: number): Hlc {
  return required(parseHlc(BigInt(tick) << 16n), "reading");
}

export function seqOf(value: number): Seq {
  return required(parseSeq(value), "sequence");
}

/** An object that says which write it is by its size and tags. */
export function objectOf(index: number): ObjectRecord {
  return {
    ...{ size: index + 1, etag: "0".repeat(32), lastModifiedMs: index, checksums: [], parts: [] },
    attributes: { system: [], user: [], storageClass: undefined, tags: [["put", `${index}`]] },
    encryption: undefined,
    lock: undefined,
    body: { kind: "inline", bytes: index + 1 },
  };
}

/** An operation as it stands in a log, its effective vector stated in full. */
function operationOf(stamp: WriteStamp, body: OperationBody, vector: Vector): Operation {
  const { hlc, origin, seq } = stamp;
  return {
    ...{ dot: { origin, seq }, hlc, chainBefore: Buffer.alloc(32), body, unknownFields: [] },
    ...{ group: undefined, vector: { full: true, entries: vector } },
  };
}

type LogRecord = { readonly home: number } & (
  | { readonly operation: Operation }
  | { readonly local: LocalRecord }
);

/**
 * What one site does with operations, without a disk: it judges, logs and applies them as the store
 * does, every batch in a segment of its own, and can be made anew from what its log still needs.
 */
export class ApplySite {
  readonly origin: OriginId;
  readonly #store = new MapKv();
  readonly view: IndexView;
  readonly #context: ApplyContext;
  readonly #log: LogRecord[] = [];
  readonly #known = new Map<OriginId, Seq>();
  /** The last reading of each origin. */
  readonly #reached = new Map<OriginId, Hlc>();
  #home = 0;
  #last = HLC_ZERO;

  constructor(origin: OriginId) {
    this.origin = origin;
    this.view = new IndexView(this.#store.kv, () => 0);
    const references = new ReferenceCounts(this.view, { keepUnnamed: true });
    this.#context = { view: this.view, references };
  }

  /** Operations in the order of this site's log. */
  get operations(): Operation[] {
    return this.#log.flatMap((record) => ("operation" in record ? [record.operation] : []));
  }

  /** What it has applied of others. */
  get vector(): Vector {
    return new Map([...this.#known].filter(([origin]) => origin !== this.origin));
  }

  has(dot: Dot): boolean {
    return (this.#known.get(dot.origin) ?? 0) >= dot.seq;
  }

  /** Writes at a time that is not before anything this site knows. */
  write(tick: number, body: OperationBody): Operation {
    const now = hlcAt(tick);
    const hlc = now > this.#last ? now : required(parseHlc(this.#last + 1n), "reading");
    const seq = seqOf((this.#known.get(this.origin) ?? 0) + 1);
    const prior = this.vector.size > 0 ? priorOf(this.view, body) : undefined;
    const whole = prior === undefined ? body : { ...body, prior };
    const operation = operationOf(
      { hlc, origin: this.origin, seq },
      whole as OperationBody,
      this.vector,
    );
    this.#home += 1;
    const causal = this.vector.size === 0 ? undefined : this.vector;
    const judged = judgeOwn(this.view, operation, { ...this.#facts(), causal });
    if (judged !== undefined) this.local(judged);
    this.#judgeDeletes(operation);
    this.#apply(operation);
    this.#end();
    return operation;
  }

  /** Takes in an operation of another site; one that it has already is passed over. */
  hear(operation: Operation): void {
    if (this.has(operation.dot)) return;
    this.#home += 1;
    const { entries } = operation.vector;
    const causal = entries.size === 0 ? undefined : entries;
    const judged = judgeConflicts(this.view, operation, {
      ...this.#facts(),
      ...{ causal, isVoid: false },
    });
    if (judged !== undefined) this.local(judged);
    this.#judgeDeletes(operation);
    this.#apply(operation);
    this.#end();
  }

  #facts(): Omit<Parameters<typeof judgeOwn>[2], "causal"> {
    return {
      isApplied: (dot: Dot) => this.has(dot),
      hasArrived: ({ hlc, origin }: WriteId) => (this.#reached.get(origin) ?? HLC_ZERO) >= hlc,
    };
  }

  /** Takes in everything of another site, in the order of that one's log. */
  hearAll(other: ApplySite): void {
    for (const operation of other.operations) this.hear(operation);
  }

  #judgeDeletes(operation: Operation): void {
    const records = judgeDeletes(this.view, operation, operation.vector.entries);
    for (const record of records) this.local(record);
  }

  /** Ends to keep what a delete removed, as after its time. */
  forget(version: VersionId, key: ObjectKey): void {
    this.#home += 1;
    const name = { kind: "deletes-judged", bucket: BUCKET, key, version } as const;
    this.local({ ...name, what: "ended", deletes: [] });
    this.#end();
  }

  local(record: LocalRecord): void {
    this.#log.push({ home: this.#home, local: record });
    applyLocal(this.#context, record, this.#home);
  }

  /** Drops every segment that nothing needs; gives how many went. */
  dropDead(): number {
    const { view } = this;
    const before = view.get(TABLES.dropped, "dropped")?.record.segments ?? [];
    const gone = new Set<number>();
    for (let index = 0; index + 1 < before.length; index += 2) gone.add(before[index] ?? 0);
    const dead: number[] = [];
    for (let home = 1; home <= this.#home; home++) {
      if (!gone.has(home) && view.get(TABLES.segment, segmentKeyOf(home)) === undefined) {
        dead.push(home);
      }
    }
    if (dead.length === 0) return 0;
    const all = [...gone, ...dead].sort((left, right) => left - right);
    this.#home += 1;
    this.local({
      ...{ kind: "segments-dropped", trimPoints: [] },
      segments: all.flatMap((home) => [home, home]),
    });
    this.#end();
    for (let index = this.#log.length - 1; index >= 0; index--) {
      const home = this.#log[index]?.home ?? 0;
      if (dead.includes(home)) this.#log.splice(index, 1);
    }
    return dead.length;
  }

  /** Rows of the index, and those of one made from what is left of the log. */
  rows(): string[] {
    return this.#store.dump();
  }

  rowsAfterRebuild(): string[] {
    const anew = new ApplySite(this.origin);
    for (const record of this.#log) {
      anew.#home = record.home;
      if ("local" in record) anew.local(record.local);
      else anew.#apply(record.operation);
    }
    anew.#end();
    return anew.rows();
  }

  #apply(operation: Operation): void {
    this.#log.push({ home: this.#home, operation });
    const { entries } = operation.vector;
    const context = entries.size === 0 ? this.#context : { ...this.#context, causal: entries };
    const place = { home: this.#home, body: { segment: this.#home, offset: 0 } };
    applyOperation(context, operation, place);
    this.#known.set(operation.dot.origin, operation.dot.seq);
    this.#reached.set(operation.dot.origin, operation.hlc);
    if (operation.hlc > this.#last) this.#last = operation.hlc;
  }

  #end(): void {
    const changes = this.view.takeBatch();
    this.#store.take(this.view.mutationsOf(changes));
    this.view.applied(changes);
  }
}

/** Lets all sites hear all that any of them knows. */
export function meet(all: readonly ApplySite[]): void {
  for (const site of all) for (const other of all) site.hearAll(other);
}

/** Three sites that have the first version of a key, which one of them has put. */
export function sitesWith(
  put: Extract<OperationBody, { kind: "object-put" }>,
): [ApplySite, ApplySite, ApplySite, VersionId] {
  const [a, b, c] = ORIGINS.map((origin) => new ApplySite(origin));
  const all = [required(a, "site"), required(b, "site"), required(c, "site")] as const;
  const { hlc, dot } = all[0].write(1, put);
  meet(all);
  return [...all, makeVersionId(hlc, dot.origin)];
}

/** What all sites have written, and a site that hears their logs mixed as `choose` says. */
export function mixLogs(
  all: readonly ApplySite[],
  choose: Iterator<number>,
): { readonly operations: readonly Operation[]; readonly reader: ApplySite } {
  const operations = all.flatMap((site) =>
    site.operations.filter(({ dot }) => dot.origin === site.origin),
  );
  const logs = ORIGINS.map((origin) => operations.filter(({ dot }) => dot.origin === origin));
  const reader = new ApplySite(required(ORIGINS[0], "origin"));
  for (let left = operations.length; left > 0; left--) {
    const open = logs.filter((log) => log.length > 0);
    const log = required(open[(choose.next().value ?? 0) % open.length], "log");
    reader.hear(required(log.shift(), "operation"));
  }
  return { operations, reader };
}
