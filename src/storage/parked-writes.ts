import { hlcMs } from "../core/hlc.ts";
import { type BucketName, makeVersionId, type ObjectKey, type VersionId } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { Replica } from "./replica.ts";

/** A write of another site that is not shown here, because its bytes have not come. */
export type ParkedWrite = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  /** Undefined in the null slot. */
  readonly version: VersionId | undefined;
  readonly bytes: number;
  readonly writtenMs: number;
  readonly reason: string;
};

/** The first parked writes, and how many operations are parked in all. */
export async function readParkedWrites(
  replica: Pick<Replica, "parked" | "parkedEntry">,
  max: number,
): Promise<{ readonly writes: readonly ParkedWrite[]; readonly operations: number }> {
  const parked = replica.parked();
  const writes: ParkedWrite[] = [];
  for (const { dot, hlc, reason } of parked) {
    if (writes.length === max) break;
    const entry = await replica.parkedEntry(dot);
    if (entry === undefined) continue;
    const { body } = decodeOperation(entry.encoded);
    if (body.kind !== "object-put") continue;
    const { bucket, key, nullSlot, object } = body;
    const version = nullSlot ? undefined : makeVersionId(hlc, dot.origin);
    writes.push({ bucket, key, version, bytes: object.size, writtenMs: hlcMs(hlc), reason });
  }
  return { writes, operations: parked.length };
}
