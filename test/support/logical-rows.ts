import type { Hash } from "../../src/ports/hash.ts";
import type { Kv } from "../../src/ports/kv.ts";
import type { IncomingRow, LogicalRow } from "../../src/storage/logical-rows.ts";
import { decodeRow, TABLES } from "../../src/storage/metadata/rows.ts";
import { indexKey } from "../../src/storage/metadata/stored-rows.ts";
import { encodeLogicalRow } from "../../src/storage/row-operations.ts";
import type { Store } from "../../src/storage/store.ts";
import { readBody } from "../sim/store-check.ts";

/** A store, and its index to look into. */
export type Opened = { readonly store: Store; readonly kv: Kv; readonly hash: Hash };

/** Everything a store says, a line for each row. */
export function dumpLogicalRows(store: Store, rowsMax = 1000): string[] {
  return walk(store, rowsMax).map(
    (row) => `${JSON.stringify(row.position)} ${encodeLogicalRow(row).toString("hex")}`,
  );
}

function walk(store: Store, rowsMax: number): LogicalRow[] {
  const rows: LogicalRow[] = [];
  for (let from: string | undefined = ""; from !== undefined; ) {
    const step = store.rows.read({ from, to: undefined }, rowsMax);
    rows.push(...step.rows);
    from = step.next;
  }
  return rows;
}

/** A row with its bytes, read from one store and staged in another. */
export async function carryRow(from: Opened, to: Store, row: LogicalRow): Promise<IncomingRow> {
  const encoded = encodeLogicalRow(row);
  const { stored } = row;
  const body = stored?.record.body;
  if (stored === undefined || body === undefined) {
    return { encoded, inline: undefined, manifests: [] };
  }
  if (body.kind === "inline") {
    const inline = await from.store.rows.inlineBody(stored);
    return { encoded, inline: inline && Buffer.from(inline), manifests: [] };
  }
  const whole = await readBody(from.store, stored, 0, stored.record.size);
  let at = 0;
  const manifests: Array<IncomingRow["manifests"][number]> = [];
  for (const { hash, bytes } of body.manifests) {
    const value = from.kv.get(indexKey(TABLES.manifest.prefix, hash));
    if (value === undefined) throw new Error("a manifest is missing");
    const { chunks } = decodeRow(TABLES.manifest, value, from.hash.crc32);
    const writer = await to.stageBody();
    await writer.write(whole.subarray(at, at + bytes));
    manifests.push({ hash, chunks, staged: await writer.finish() });
    at += bytes;
  }
  return { encoded, inline: undefined, manifests };
}

/** Takes over all rows of a store, in steps of so many. */
export async function takeAllRows(from: Opened, to: Store, rowsMax: number): Promise<void> {
  for (let at: string | undefined = ""; at !== undefined; ) {
    const step = from.store.rows.read({ from: at, to: undefined }, rowsMax);
    const rows: IncomingRow[] = [];
    for (const row of step.rows) rows.push(await carryRow(from, to, row));
    const done = await to.rows.import({ rows, removed: [], progress: undefined, rewrite: false });
    if (done.refused.length > 0) throw new Error(`rows were refused: ${done.refused[0]?.why}`);
    at = step.next;
  }
}
