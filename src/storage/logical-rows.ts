import { StorageFault } from "../core/faults.ts";
import type { LogStart } from "../core/records.ts";
import { BodyMender, type MendTold } from "./body-mender.ts";
import type { Damage, RepairSource } from "./body-reader.ts";
import { readHeads } from "./log-starts.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import {
  type Bootstrap,
  type ImportOutcome,
  type ImportStep,
  importRows,
  readBootstrap,
  readFloors,
  setFloors,
} from "./row-import.ts";
import { type RowRange, type RowStep, readRows } from "./row-walk.ts";
import type { StoredObject } from "./store.ts";
import type { StoreParts } from "./store-parts.ts";

export type { Damage, RepairSource } from "./body-reader.ts";
export type { Bootstrap, ImportOutcome, ImportStep, IncomingRow } from "./row-import.ts";
export type { LogicalRow } from "./row-operations.ts";
export {
  encodeLogicalRow,
  logicalRowHash,
  positionOfRow,
  positionsOfVersion,
  rowNameOf,
  SECTIONS,
} from "./row-operations.ts";
export type { RowRange, RowStep } from "./row-walk.ts";

/**
 * What a store says, row by row and without its history: what bootstrap takes over, and what two
 * sites compare. Everything a promise resolves with is durable and visible.
 */
export interface LogicalRows {
  /** Rows of a range in order of position, within this turn; at most `rowsMax`, at least 1. */
  read(range: RowRange, rowsMax: number): RowStep;
  /** About how many rows there are; counted from usage, not by a walk. */
  count(): number;
  /** The bytes of an inline body, verified; undefined when they are damaged or went away. */
  inlineBody(stored: StoredObject): Promise<Uint8Array | undefined>;
  /** Takes rows over, in one commit. @throws StorageFault "disk-full", "busy" or "closed". */
  import(step: ImportStep): Promise<ImportOutcome>;
  /** How far a bootstrap has come that has not ended. */
  bootstrap(): Bootstrap | undefined;
  /** Where logs begin here that came as rows, by origin. */
  floors(): readonly LogStart[];
  /** Reads every byte of a body and hashes it anew; tells what of it is not right. */
  check(stored: StoredObject): Promise<readonly Damage[]>;
  /** From now on damaged bytes are asked for elsewhere, served, and written anew. */
  repairFrom(source: RepairSource, told: MendTold): void;
  /** Writes right bytes anew in place of damaged ones; false when nobody needs them any more. */
  mend(damage: Damage, bytes: Uint8Array): Promise<boolean>;
  /** Copies that have been written anew since the start. */
  mended(): number;
  /** Where every log stands now, this site's own included: what the rows that are read next cover. */
  heads(): readonly LogStart[];
  /** Ends a bootstrap: logs go on behind these heads. */
  setFloors(heads: readonly LogStart[]): Promise<void>;
}

/** The logical rows of a store. */
export function createLogicalRows(parts: StoreParts): LogicalRows {
  const mender = new BodyMender(parts);
  return {
    repairFrom(source, told) {
      const mend = (damage: Damage, bytes: Uint8Array) => mender.begin(damage, bytes, told);
      parts.bodies.repair = { source, mend };
    },
    check: (stored) => parts.bodies.check(stored),
    mend: (damage, bytes) => mender.mend(damage, bytes),
    mended: () => mender.mended,
    read: (range, rowsMax) => readRows(parts, range, rowsMax),
    count: () => countRows(parts),
    inlineBody: (stored) => readInline(parts, stored),
    import: (step) => importRows(parts, step),
    bootstrap: () => readBootstrap(parts),
    floors: () => readFloors(parts),
    heads: () => readHeads(parts),
    setFloors: (heads) => setFloors(parts, heads),
  };
}

function countRows({ kv, hash }: StoreParts): number {
  const { prefix } = TABLES.usage;
  let count = 0;
  for (const { value } of kv.range({ gte: indexKey(prefix, ""), lt: indexKey(prefix, "~") })) {
    const usage = decodeRow(TABLES.usage, value, hash.crc32);
    count += usage.objects + usage.noncurrent + usage.markers;
    count += usage.tombstones + usage.voided + usage.metas;
  }
  return count;
}

async function readInline(
  { bodies }: StoreParts,
  stored: StoredObject,
): Promise<Uint8Array | undefined> {
  const { body } = stored.record;
  if (body.kind !== "inline") return undefined;
  if (body.bytes === 0) return new Uint8Array(0);
  const reader = bodies.open(stored, { start: 0, end: body.bytes });
  try {
    return await reader.next();
  } catch (failure) {
    if (failure instanceof StorageFault) return undefined;
    throw failure;
  } finally {
    reader.close();
  }
}
