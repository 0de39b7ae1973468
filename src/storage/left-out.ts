import { decodeOperation, operationHeader } from "../core/operation-codec.ts";
import type { LocalRecord, ManifestRef, Operation, OperationBody } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import { manifestsOf } from "./batch.ts";
import type { BatchPlace } from "./log-batch.ts";
import { applyLocal } from "./metadata/apply.ts";
import type { ApplyContext } from "./metadata/apply-context.ts";
import { judgeSettled } from "./metadata/judge-conflicts.ts";
import { logRunKeyOf } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import { batchRecords } from "./segment/batch.ts";
import type { Withdrawals } from "./withdrawn.ts";

/**
 * Which records of a batch were written because of an operation that does not count: those in front
 * of it, by where they stand among the batch's records.
 */
export function recordsBefore(
  records: Uint8Array,
  segment: number,
  { withdrawals, hash }: { readonly withdrawals: Withdrawals; readonly hash: Hash },
): ReadonlyMap<number, OperationBody> {
  if (!withdrawals.mayStandIn(segment)) return NONE;
  const found = new Map<number, OperationBody>();
  let before: number[] = [];
  for (const { kind, payload, offset } of batchRecords(records, hash.crc32)) {
    if (kind === "local") before.push(offset);
    if (kind !== "op" && kind !== "row") continue;
    if (kind === "op" && withdrawals.covers(operationHeader(payload), segment)) {
      const { body } = decodeOperation(Buffer.from(payload));
      for (const at of before) found.set(at, body);
    }
    before = [];
  }
  return found;
}

/**
 * Notes what was not noted when operations came in that name lost writes of this site. Of one that
 * was parked then, nothing was to be noted before it was parked no more.
 */
export class LostNames {
  readonly #context: ApplyContext;
  readonly #withdrawals: Withdrawals;
  /** Parked operations, by the key of their row. */
  readonly #parked = new Map<string, Operation>();

  constructor(context: ApplyContext, withdrawals: Withdrawals) {
    this.#context = context;
    this.#withdrawals = withdrawals;
  }

  /** An operation stands in a segment. */
  note(operation: Operation, segment: number, isParked: boolean): void {
    if (!isParked) this.#settle(operation, segment);
    else if (this.#withdrawals.mayStandIn(segment)) {
      this.#parked.set(logRunKeyOf(operation.dot.origin, operation.dot.seq), operation);
    }
  }

  /** A record stands in a segment, which may say that operations are parked no more. */
  hear(record: LocalRecord, segment: number): void {
    if (record.kind !== "operations-unparked" || this.#parked.size === 0) return;
    for (const { origin, seq } of record.operations) {
      const key = logRunKeyOf(origin, seq);
      const operation = this.#parked.get(key);
      if (operation !== undefined) this.#settle(operation, segment);
      this.#parked.delete(key);
    }
  }

  #settle(operation: Operation, segment: number): void {
    const { body } = operation;
    const write = this.#withdrawals.lostWrite(operation, segment);
    if (write === undefined || !("key" in body)) return;
    const record = judgeSettled(this.#context.view, body, write, false);
    if (record !== undefined) applyLocal(this.#context, record, segment);
  }
}

const NONE: ReadonlyMap<number, OperationBody> = new Map();

/**
 * What a replay has left out because it is withdrawn: where it stands, for it is to be issued
 * again, and the bytes that it names, which nothing else may name until then.
 */
export class LeftOut {
  readonly #context: ApplyContext;
  readonly #places: BatchPlace[] = [];
  readonly #manifests: ManifestRef[] = [];

  constructor(context: ApplyContext) {
    this.#context = context;
  }

  /** The batches, in the order of the log. */
  get places(): readonly BatchPlace[] {
    return this.#places;
  }

  /** Notes an operation of a batch. */
  add(body: OperationBody, place: BatchPlace): void {
    if (this.#places.at(-1) !== place) this.#places.push(place);
    this.#manifests.push(...manifestsOf(body));
  }

  /**
   * Has the bytes that are here counted as named. The index is for issuing the operations again
   * only: the counts are wrong for anything else.
   */
  keepBytes(): void {
    const { view, references } = this.#context;
    const here = this.#manifests.filter(({ hash }) => view.get(TABLES.manifest, hash));
    references.addManifestRefs(here);
  }
}
