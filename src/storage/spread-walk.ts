import { asBuffer } from "../core/bytes.ts";
import type { Kv } from "../ports/kv.ts";
import { decodeRow, type Table } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { StoreParts } from "./store-parts.ts";

const ROWS_PER_TURN = 2000;

/** A row's key without its table's prefix; the value is valid until anything else is read. */
export type SpreadRow = { readonly key: string; readonly value: Uint8Array };

/**
 * Walks a table a part at a time, and starts again at its end. So a regular look at every row costs
 * no more each time than with a short table.
 */
export class SpreadWalk {
  readonly #kv: Kv;
  readonly #prefix: string;
  readonly #rowsMax: number;
  #after: string | undefined;

  constructor(kv: Kv, { prefix }: Pick<Table<unknown>, "prefix">, rowsMax: number) {
    this.#kv = kv;
    this.#prefix = prefix;
    this.#rowsMax = rowsMax;
  }

  /** False at the beginning, and again as soon as a part has reached the end. */
  get isUnderWay(): boolean {
    return this.#after !== undefined;
  }

  /** The next part, to be walked within one turn; a part given up halfway is gone on with. */
  *rows(): Generator<SpreadRow> {
    const prefix = this.#prefix;
    const start =
      this.#after === undefined
        ? { gte: indexKey(prefix, "") }
        : { gt: indexKey(prefix, this.#after) };
    const lt = indexKey(String.fromCharCode(prefix.charCodeAt(0) + 1), "");
    let seen = 0;
    for (const { key: bytes, value } of this.#kv.range({ ...start, lt })) {
      if (seen === this.#rowsMax) return;
      seen += 1;
      const key = asBuffer(bytes).toString("utf8", prefix.length);
      this.#after = key;
      yield { key, value };
    }
    this.#after = undefined;
  }
}

/**
 * All rows of a table, some of them at a time; between two parts others have their turn, so a row
 * may be another one by the time it is looked at.
 */
export async function* rowsInTurns<Row>(
  { kv, hash, clock }: Pick<StoreParts, "kv" | "hash" | "clock">,
  table: Table<Row>,
): AsyncGenerator<readonly { readonly key: string; readonly row: Row }[]> {
  const walk = new SpreadWalk(kv, table, ROWS_PER_TURN);
  do {
    const rows = [];
    for (const { key, value } of walk.rows()) {
      rows.push({ key, row: decodeRow(table, value, hash.crc32) });
    }
    yield rows;
    if (walk.isUnderWay) await clock.sleep(0);
  } while (walk.isUnderWay);
}
