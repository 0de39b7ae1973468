import type { AccessKeyId } from "../core/names.ts";
import type { AccessKeyRecord, Operation } from "../core/records.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { StoreParts } from "./store-parts.ts";

const RECORD_BYTES = 2048;

/** A key that was ever made here or came from a peer, whatever its state; undefined otherwise. */
export function findAccessKey({ index }: StoreParts, id: AccessKeyId): AccessKeyRecord | undefined {
  const row = index.get(TABLES.accessKey, id);
  return row === undefined ? undefined : recordOf(row.operation);
}

/** Every key by id, revoked ones too: their ids are never given out again. */
export function* listAccessKeys({ kv, hash }: StoreParts): Generator<AccessKeyRecord> {
  const { prefix } = TABLES.accessKey;
  for (const { value } of kv.range({ gte: indexKey(prefix, ""), lt: indexKey(prefix, "~") })) {
    const record = recordOf(decodeRow(TABLES.accessKey, value, hash.crc32).operation);
    if (record !== undefined) yield record;
  }
}

/**
 * Makes or changes a key; a change of a revoked one leaves it revoked.
 *
 * @throws StorageFault "disk-full".
 */
export async function putAccessKey(
  { committer, admission }: StoreParts,
  accessKey: AccessKeyRecord,
): Promise<void> {
  admission.admitSmall();
  await committer.submit<void>(RECORD_BYTES, (batch) => {
    const before = batch.context.view.get(TABLES.accessKey, accessKey.id);
    const revoked = before !== undefined && recordOf(before.operation)?.state === "revoked";
    // Revoked is for ever. An operation that changes nothing would leave no row, and a rebuild
    // after its segment was dropped would not know of it.
    if (revoked && accessKey.state !== "revoked") return;
    batch.operation(batch.nextHlc(), { kind: "access-key-put", accessKey });
  });
}

/**
 * Seals a key's secret in another way; judged by the key as it is in the commit, so that a change
 * which came before is kept. False when there is no secret, or `reseal` leaves it as it is.
 *
 * @throws StorageFault "disk-full".
 */
export async function resealAccessKey(
  { committer, admission }: StoreParts,
  id: AccessKeyId,
  reseal: (sealed: Uint8Array) => Uint8Array | undefined,
): Promise<boolean> {
  admission.admitSmall();
  return await committer.submit<boolean>(RECORD_BYTES, (batch) => {
    const row = batch.context.view.get(TABLES.accessKey, id);
    const before = row === undefined ? undefined : recordOf(row.operation);
    if (before === undefined || before.state === "revoked") return false;
    const sealedSecret = reseal(before.sealedSecret);
    if (sealedSecret === undefined) return false;
    const accessKey = { ...before, sealedSecret };
    batch.operation(batch.nextHlc(), { kind: "access-key-put", accessKey });
    return true;
  });
}

function recordOf({ body }: Operation): AccessKeyRecord | undefined {
  return body.kind === "access-key-put" ? body.accessKey : undefined;
}
