import { hasSeen, type Witness } from "../../core/causality.ts";
import type { DeletesRecord, Operation, Vector } from "../../core/records.ts";
import { deletesOf } from "./apply-deletes.ts";
import { metaKeyOf, versionById, writeIdOf } from "./key-versions.ts";
import { isLocking, lockChange } from "./lock-changes.ts";
import { TABLES } from "./rows.ts";
import type { IndexView } from "./view.ts";
import { validDeletes } from "./voided-rows.ts";

/**
 * Judges an operation before it enters the log, when it deletes a version or puts a lock on one.
 * The returned record must be in front of it in its batch.
 *
 * A delete keeps the version that it removes, for another site may have locked it meanwhile. Of a
 * delete and a lock that did not know of each other, the delete is void. The verdict is logged
 * because the lock itself may be gone from the log when the index is rebuilt.
 *
 * @param causal what the operation's origin had received of others.
 */
export function judgeDeletes(
  view: IndexView,
  { dot, hlc, body }: Operation,
  causal: Vector,
): DeletesRecord[] {
  const witness = { ...dot, hlc, vector: causal };
  if (body.kind === "version-delete") {
    const { bucket, key, version } = body;
    const name = { kind: "deletes-judged", bucket, key, version } as const;
    const id = writeIdOf(version);
    const known = deletesOf(view, body, id);
    const records: DeletesRecord[] = [];
    if (known?.kept === undefined) records.push({ ...name, what: "kept", deletes: [] });
    const meta = known?.kept?.meta ?? view.get(TABLES.meta, metaKeyOf(body, id, false));
    const locks = (meta?.locks ?? []).filter(isLocking);
    if (locks.some(({ stamp, vector }) => areBeside(witness, { ...stamp, vector }))) {
      records.push({ ...name, what: "void", deletes: [{ ...dot, hlc }] });
    }
    return records;
  }
  if (body.kind !== "object-meta" || body.nullSlot) return [];
  const { bucket, key, version, change } = body;
  if (change.kind !== "retention" && change.kind !== "legal-hold") return [];
  if (!isLocking(lockChange({ stamp: witness, home: 0 }, change))) return [];
  const row = deletesOf(view, body, writeIdOf(version));
  const beside =
    row === undefined ? [] : validDeletes(row).filter((one) => areBeside(one, witness));
  if (beside.length === 0) return [];
  const deletes = beside.map((one) => ({ hlc: one.hlc, origin: one.origin, seq: one.seq }));
  return [{ kind: "deletes-judged", bucket, key, version, what: "void", deletes }];
}

/**
 * Judges a row in the same way, which comes outside every log. The version that a row deletes comes
 * in front of it where it has to be kept, so none is waited for.
 */
export function judgeRowDeletes(view: IndexView, operation: Operation): DeletesRecord[] {
  const { body, vector } = operation;
  const records = judgeDeletes(view, operation, vector.entries);
  if (body.kind !== "version-delete") return records;
  const isThere = versionById(view, body, writeIdOf(body.version)) !== undefined;
  return records.filter(({ what }) => what !== "kept" || isThere);
}

function areBeside(left: Witness, right: Witness): boolean {
  return !hasSeen(left, right) && !hasSeen(right, left);
}
