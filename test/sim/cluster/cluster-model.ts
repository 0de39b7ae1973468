import { HLC_ZERO, hlcMs } from "../../../src/core/hlc.ts";
import { makeVersionId, type OriginId, type Seq } from "../../../src/core/names.ts";
import type { ObjectLock, Retention } from "../../../src/core/object-lock-state.ts";
import type { Dot, ObjectChange, Operation, OperationBody } from "../../../src/core/records.ts";
import { describe, writerOf } from "./client-words.ts";
import type { Observed } from "./log-observer.ts";

/*
 * What all sites must show once they have all operations: said again, from the words of the design,
 * over the set of operations and without any order of arrival.
 */

type Vector = ReadonlyMap<OriginId, Seq>;
type Of<Kind extends OperationBody["kind"]> = {
  readonly operation: Operation;
  readonly body: Extract<OperationBody, { kind: Kind }>;
  /** What its origin had applied when it wrote this. */
  readonly vector: Vector;
};
type Any = Of<OperationBody["kind"]>;

/** All operations by bucket and key, with what each had seen. */
export class ClusterModel {
  readonly #all: readonly Any[];

  /** `isLost`: of operations whose bytes nobody has any more. */
  constructor(
    logs: ReadonlyMap<OriginId, readonly Observed[]>,
    isLost: (dot: Dot) => boolean = () => false,
  ) {
    const all = [...logs.values()].flatMap(withVectors);
    this.#all = all.filter(({ operation }) => !isLost(operation.dot));
  }

  /** Why times and knowledge do not go together: an operation is later than all it had seen. */
  misplaced(logs: ReadonlyMap<OriginId, readonly Observed[]>): string | undefined {
    for (const { operation, vector } of this.#all) {
      for (const [origin, seq] of vector) {
        const seen = logs.get(origin)?.[seq - 1]?.operation;
        if (seen === undefined || seen.hlc < operation.hlc) continue;
        return `${describe(operation)} had seen ${describe(seen)}, which is later`;
      }
    }
    return undefined;
  }

  /** Names of buckets that exist. */
  buckets(): string[] {
    const names = new Set(
      this.#all.flatMap(({ body }) => (body.kind === "bucket-create" ? [body.bucket] : [])),
    );
    return [...names].filter((name) => this.#lives(name)).sort();
  }

  /** A bucket's settings as text, by name. */
  settings(bucket: string): string[] {
    const all = this.#of("bucket-setting", bucket);
    const creations = this.#of("bucket-create", bucket);
    // A bucket is only created where there is none: what its creator had seen is gone with it.
    const names = [...new Set(all.map(({ body }) => body.name))].sort();
    const said = names.map((name) => latest(all.filter(({ body }) => body.name === name)));
    const own = said.filter(
      (last): last is Of<"bucket-setting"> =>
        last !== undefined && !creations.some((creation) => sees(creation, last)),
    );
    const deletions = this.#deletionsOf(bucket);
    const beside = (one: Any): boolean => !deletions.some((deletion) => sees(deletion, one));
    const left = this.#isCreated(bucket)
      ? own.filter(beside)
      : // Kept by a write alone: nothing said beside the deletion may open it.
        own.filter((one) => one.body.name !== "policy" || !beside(one));
    return left.flatMap(({ body: { name, value } }) =>
      value === undefined ? [] : [`${name}=${Buffer.from(value).toString("hex")}`],
    );
  }

  accessKeys(): string[] {
    const all = ofKind(this.#all, "access-key-put");
    const ids = [...new Set(all.map(({ body }) => body.accessKey.id))].sort();
    return ids.map((id) => {
      const own = all.filter(({ body }) => body.accessKey.id === id);
      const revoked = own.filter(({ body }) => body.accessKey.state === "revoked");
      const last = latest(revoked.length > 0 ? revoked : own);
      return `${id} ${last?.body.accessKey.state} ${last?.body.accessKey.name}`;
    });
  }

  /** The versions of a bucket, keys in order, newest first. */
  versions(bucket: string): string[] {
    const inBucket = this.#all.filter(
      ({ body }) => "bucket" in body && body.bucket === bucket && "key" in body,
    );
    const byKey = new Map<string, Any[]>();
    for (const one of inBucket) {
      const key = "key" in one.body ? one.body.key : "";
      byKey.set(key, [...(byKey.get(key) ?? []), one]);
    }
    const keys = [...byKey.keys()].sort((left, right) =>
      Buffer.compare(Buffer.from(left), Buffer.from(right)),
    );
    return keys.flatMap((key) => showKey(key, byKey.get(key) ?? []));
  }

  /** What a bucket exists for: a creation that no deletion has seen, or what is in it. */
  #lives(bucket: string): boolean {
    return this.#isCreated(bucket) || this.versions(bucket).length > 0;
  }

  #isCreated(bucket: string): boolean {
    const deletions = this.#deletionsOf(bucket);
    return this.#of("bucket-create", bucket).some(
      (creation) => !deletions.some((deletion) => sees(deletion, creation)),
    );
  }

  /** Deletions that no later creation knows of: the others are over. */
  #deletionsOf(bucket: string): Of<"bucket-delete">[] {
    const creations = this.#of("bucket-create", bucket);
    return this.#of("bucket-delete", bucket).filter(
      (deletion) => !creations.some((creation) => sees(creation, deletion)),
    );
  }

  #of<Kind extends "bucket-create" | "bucket-delete" | "bucket-setting">(
    kind: Kind,
    bucket: string,
  ): Of<Kind>[] {
    const own = this.#all.filter(({ body }) => "bucket" in body && body.bucket === bucket);
    return ofKind(own, kind);
  }
}

function withVectors(operations: readonly Observed[]): Any[] {
  let running: Vector = new Map();
  return operations.map(({ operation }) => {
    const { full, entries } = operation.vector;
    running = full ? entries : new Map([...running, ...entries]);
    return { operation, body: operation.body, vector: running };
  });
}

function sees(one: Any, other: Any): boolean {
  const { origin, seq } = other.operation.dot;
  if (one.operation.dot.origin === origin) return seq < one.operation.dot.seq;
  return (one.vector.get(origin) ?? 0) >= seq;
}

function ofKind<Kind extends OperationBody["kind"]>(all: readonly Any[], kind: Kind): Of<Kind>[] {
  return all.filter((one): one is Of<Kind> => one.body.kind === kind);
}

function isLater(left: Any, right: Any): boolean {
  if (left.operation.hlc !== right.operation.hlc) return left.operation.hlc > right.operation.hlc;
  return left.operation.dot.origin > right.operation.dot.origin;
}

function latest<One extends Any>(all: readonly One[]): One | undefined {
  let last: One | undefined;
  for (const one of all) if (last === undefined || isLater(one, last)) last = one;
  return last;
}

function idOf({ operation }: Any): string {
  return makeVersionId(operation.hlc, operation.dot.origin);
}

function showKey(key: string, all: readonly Any[]): string[] {
  const gone = new Set(takenAway(all).map(({ body }) => body.version as string));
  const puts = ofKind(all, "object-put");
  // One that is said again stands where the first one stands, which is among them.
  const deletes = ofKind(all, "object-delete").filter(
    ({ body }) => !body.nullSlot || body.standsAt === undefined,
  );
  const slot = latest([
    ...puts.filter(({ body }) => body.nullSlot),
    ...deletes.filter(({ body }) => body.nullSlot),
  ] as Any[]);
  const left = [...puts, ...deletes].filter(
    (one) => !one.body.nullSlot && !gone.has(idOf(one)),
  ) as Any[];
  const isThere = slot?.body.kind === "object-put" || slot?.body.kind === "object-delete";
  if (slot !== undefined && isThere && !emptiesSlot(slot)) left.push(slot);
  left.sort((one, other) => (isLater(one, other) ? -1 : 1));
  return left.map((one, index) => showVersion(key, one, { all, isLatest: index === 0 }));
}

function emptiesSlot({ body }: Any): boolean {
  return body.kind === "object-delete" && body.nullSlot && !body.nullMarker;
}

function showVersion(
  key: string,
  one: Any,
  { all, isLatest }: { readonly all: readonly Any[]; readonly isLatest: boolean },
): string {
  const { body } = one;
  const isNull = "nullSlot" in body && body.nullSlot;
  const words = [key, idOf(one), isLatest ? "latest" : "", isNull ? "null" : ""];
  if (body.kind !== "object-put") return [...words, "marker"].join(" ");
  const metas = ofKind(all, "object-meta").filter(
    (meta) => meta.body.version === idOf(one) && meta.body.nullSlot === body.nullSlot,
  );
  const tagged = latest(metas.filter((meta) => meta.body.change.kind === "tags"));
  const change = tagged?.body.change;
  const tags = change?.kind === "tags" ? change.tags : body.object.attributes.tags;
  const lock = showLock(lockOf(body.object.lock, metas));
  return [...words, writerOf(body.object), body.object.etag, tags.join(), lock].join(" ");
}

/** A lock in the words of lists. */
export function showLock(lock: ObjectLock | undefined): string {
  const { retention, legalHold = false } = lock ?? {};
  const kept = retention === undefined ? "" : `${retention.mode} until ${retention.untilMs}`;
  return `${kept}${legalHold ? " held" : ""}`;
}

/** Deletes of versions that are not void: each knew of every lock, or whoever put it knew of it. */
function takenAway(all: readonly Any[]): Of<"version-delete">[] {
  const locks = ofKind(all, "object-meta").filter(({ body: { change } }) => {
    if (change.kind === "legal-hold") return change.on;
    return change.kind === "retention" && change.retention !== undefined;
  });
  return ofKind(all, "version-delete").filter((one) =>
    locks
      .filter(({ body }) => body.version === one.body.version && !body.nullSlot)
      .every((lock) => sees(one, lock) || sees(lock, one)),
  );
}

/**
 * What is said of a version in the end: a hold that is on, unless one knew of it that is off; the
 * strictest of the retentions of which none knew another; and no compliance ends before its time.
 */
function lockOf(base: ObjectLock | undefined, metas: readonly Of<"object-meta">[]): ObjectLock {
  const last = (kind: ObjectChange["kind"]): readonly Of<"object-meta">[] => {
    const all = metas.filter(({ body }) => body.change.kind === kind);
    return all.filter((one) => !all.some((other) => sees(other, one)));
  };
  const retentionOf = ({ body: { change } }: Of<"object-meta">): Retention | undefined =>
    change.kind === "retention" ? change.retention : undefined;
  const holds = last("legal-hold");
  const isOn = holds.some(({ body: { change } }) => change.kind === "legal-hold" && change.on);
  const legalHold = holds.length === 0 ? base?.legalHold === true : isOn;
  const retentions = last("retention");
  if (retentions.length === 0) return { retention: base?.retention, legalHold };
  const changes = metas.filter(({ body }) => body.change.kind === "retention");
  const lastMs = hlcMs(latest(changes)?.operation.hlc ?? HLC_ZERO);
  const running = [base?.retention, ...changes.map(retentionOf)].filter(
    (one) => one?.mode === "COMPLIANCE" && one.untilMs > lastMs,
  );
  const all = [...retentions.map(retentionOf), ...running].filter((one) => one !== undefined);
  const strict = all.some(({ mode }) => mode === "COMPLIANCE") ? "COMPLIANCE" : "GOVERNANCE";
  const times = all.filter(({ mode }) => mode === strict).map(({ untilMs }) => untilMs);
  const untilMs = Math.max(...times);
  return { retention: times.length === 0 ? undefined : { mode: strict, untilMs }, legalHold };
}
