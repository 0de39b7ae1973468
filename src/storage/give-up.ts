import { hlcMs } from "../core/hlc.ts";
import { laterStamp } from "../core/lww.ts";
import { makeVersionId } from "../core/names.ts";
import type { Operation, OperationBody } from "../core/records.ts";
import type { OpenBatch } from "./batch.ts";
import { deletesOf } from "./metadata/apply-deletes.ts";
import { type KeyName, nullVersion, sameWrite } from "./metadata/key-versions.ts";
import { objectKeyOf } from "./metadata/keys.ts";
import type { ObjectRow } from "./metadata/object-row.ts";
import { TABLES } from "./metadata/rows.ts";
import type { Stamp } from "./metadata/stamp.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import { isDeleted } from "./metadata/voided-rows.ts";
import type { OriginLogs } from "./origin-logs.ts";
import { findBucket, type StoreParts, toStoredObject } from "./store-parts.ts";

/** About what the operation that ends another takes in the log. */
const RECORD_BYTES = 2048;

type Put = Extract<OperationBody, { kind: "object-put" }>;
type ParkedPut = Operation & { readonly body: Put };

/**
 * Has every site hold a parked put for one that was taken back: its version is deleted, or what it
 * would have overwritten is written again. Both are operations as any other, so that all sites come
 * to the same, also one that hears of the put later. For bytes that no member has any more; who
 * calls has asked them.
 *
 * @returns false when it is not parked here any more, or is no put that stands alone: with one of a
 *   group, what it renames would be gone as well.
 * @throws StorageFault "disk-full", "busy", "clock" or "corrupt".
 */
export async function giveUp(
  parts: StoreParts,
  origins: OriginLogs,
  { body, ...envelope }: Operation,
): Promise<boolean> {
  if (body.kind !== "object-put" || envelope.group !== undefined) return false;
  const put: ParkedPut = { ...envelope, body };
  for (;;) {
    const standing = body.nullSlot ? shownBelow(parts.index, put) : undefined;
    const inline = standing === undefined ? undefined : await inlineOf(parts, body, standing);
    const bytes = RECORD_BYTES + (inline?.length ?? 0);
    parts.admission.admit(bytes);
    const outcome = await parts.committer.submit(bytes, (batch) => {
      if (!origins.isParked(put.dot)) return "not-parked";
      if (body.nullSlot) return endInNullSlot(batch, put, standing, inline);
      endVersion(batch, put);
      return "done";
    });
    if (outcome !== "changed") return outcome === "done";
  }
}

async function inlineOf(
  { bodies }: StoreParts,
  { bucket, key }: Put,
  row: ObjectRow,
): Promise<Uint8Array | undefined> {
  const object = toStoredObject(bucket, key, row);
  await bodies.remote.bring(object);
  return bodies.inline(object);
}

/** The write that stands in the null slot of a key, or that emptied it. */
export function stampInNullSlot(reader: RowReader, name: KeyName): Stamp | undefined {
  const found = nullVersion(reader, name);
  if (found !== undefined) return found.row.stamp;
  return reader.get(TABLES.tombstone, objectKeyOf(name.bucket, name.key))?.stamp;
}

/** What the put would have overwritten, where that is what clients see of the key. */
function shownBelow(reader: RowReader, { body, dot, hlc }: ParkedPut): ObjectRow | undefined {
  const found = nullVersion(reader, body);
  if (found?.kind !== "object" || !found.current) return undefined;
  return laterStamp({ hlc, origin: dot.origin }, found.row.stamp) ? found.row : undefined;
}

function endVersion(batch: OpenBatch, { body: { bucket, key }, dot, hlc }: ParkedPut): void {
  const id = { hlc, origin: dot.origin };
  const deletes = deletesOf(batch.context.view, { bucket, key }, id);
  if (deletes !== undefined && isDeleted(deletes)) return;
  const version = makeVersionId(hlc, dot.origin);
  batch.operation(batch.nextHlc(hlc), { kind: "version-delete", bucket, key, version });
}

/** @returns "changed" when something else stands there now than what was read before. */
function endInNullSlot(
  batch: OpenBatch,
  put: ParkedPut,
  standing: ObjectRow | undefined,
  inline: Uint8Array | undefined,
): "done" | "changed" {
  const { view } = batch.context;
  const { bucket, key } = put.body;
  const latest = stampInNullSlot(view, put.body);
  if (latest !== undefined && laterStamp(latest, { hlc: put.hlc, origin: put.dot.origin })) {
    return "done";
  }
  const shown = shownBelow(view, put);
  if (!isSame(shown, standing)) return "changed";
  const hlc = batch.nextHlc(put.hlc);
  const slot = { bucket, key, nullSlot: true } as const;
  if (shown !== undefined && findBucket(view, bucket) !== undefined) {
    const object = { ...shown.object, lastModifiedMs: hlcMs(hlc) };
    batch.operation(hlc, { kind: "object-put", ...slot, object }, inline);
    return "done";
  }
  const nullMarker = nullVersion(view, put.body)?.kind === "marker";
  batch.operation(hlc, { kind: "object-delete", ...slot, nullMarker, deletedMs: hlcMs(hlc) });
  return "done";
}

function isSame(left: ObjectRow | undefined, right: ObjectRow | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return sameWrite(left.stamp, right.stamp);
}
