import type { Kv, KvRange, KvRow, KvWalk } from "./kv.ts";

/** Walks rows in the way that is cheapest for the store. */
export function walkRows(kv: Kv, query: KvRange): KvWalk {
  return kv.walk?.(query) ?? new RowWalk(kv.range(query)[Symbol.iterator]());
}

const NOTHING = new Uint8Array(0);

/** A walk over the rows of a range. */
class RowWalk implements KvWalk {
  key: Uint8Array = NOTHING;
  readonly keyStart = 0;
  keyEnd = 0;
  value: Uint8Array = NOTHING;
  valueEnd = 0;
  readonly #rows: Iterator<KvRow>;

  constructor(rows: Iterator<KvRow>) {
    this.#rows = rows;
  }

  next(): boolean {
    const step = this.#rows.next();
    if (step.done === true) return false;
    this.key = step.value.key;
    this.keyEnd = this.key.length;
    this.value = step.value.value;
    this.valueEnd = this.value.length;
    return true;
  }

  close(): void {
    this.#rows.return?.();
  }
}
