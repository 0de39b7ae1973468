import { StorageFault } from "../core/faults.ts";
import { BodyMender } from "./body-mender.ts";
import { readHeads } from "./log-starts.ts";
import type { Damage, LogicalRows } from "./logical-rows.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { RemoteBodies } from "./remote-bodies.ts";
import type { Replica } from "./replica.ts";
import {
  endParked,
  importRows,
  readBootstrap,
  readFloors,
  readOwed,
  setFloors,
  settleOwed,
} from "./row-import.ts";
import { startRows } from "./row-start.ts";
import { readRows } from "./row-walk.ts";
import type { Segments } from "./segment/segments.ts";
import { readSettled } from "./settled-writes.ts";
import type { StoreParts } from "./store-parts.ts";
import type { StoredObject } from "./stored.ts";

/** The logical rows of a store. */
export function createLogicalRows(
  parts: StoreParts,
  remote: RemoteBodies,
  replica: Replica,
  segments: Segments,
): LogicalRows {
  const mender = new BodyMender(parts);
  return {
    remote,
    repairFrom(source, told) {
      const mend = (damage: Damage, bytes: Uint8Array) => mender.begin(damage, bytes, told);
      parts.bodies.repair = { source, mend };
    },
    check: (stored) => parts.bodies.check(stored),
    mend: (damage, bytes) => mender.mend(damage, bytes),
    mended: () => mender.mended,
    read: (range, rowsMax) => readRows(parts, range, rowsMax),
    sum: () => sumRows(parts),
    inlineBody: (stored) => readInline(parts, stored),
    import: (step) => importRows(parts, step),
    bootstrap: () => readBootstrap(parts),
    floors: () => readFloors(parts),
    owed: () => readOwed(parts),
    settleOwed: (settled) => settleOwed(parts, settled),
    heads: () => readHeads(parts),
    settled: () => readSettled(parts),
    start: (begun) => startRows({ parts, replica, segments }, begun),
    setFloors: async (heads) => {
      await endParked(replica, heads);
      await setFloors(parts, heads);
    },
  };
}

function sumRows({ kv, hash }: StoreParts): ReturnType<LogicalRows["sum"]> {
  const { prefix } = TABLES.usage;
  let rows = 0;
  let bytes = 0;
  for (const { value } of kv.range({ gte: indexKey(prefix, ""), lt: indexKey(prefix, "~") })) {
    const usage = decodeRow(TABLES.usage, value, hash.crc32);
    rows += usage.objects + usage.noncurrent + usage.markers;
    rows += usage.tombstones + usage.voided + usage.metas;
    bytes += usage.bytes;
  }
  return { rows, bytes };
}

async function readInline(
  { bodies }: StoreParts,
  stored: StoredObject,
): Promise<Uint8Array | undefined> {
  try {
    return await bodies.inline(stored);
  } catch (failure) {
    if (failure instanceof StorageFault) return undefined;
    throw failure;
  }
}
