import type { Kv, KvMutation } from "../../src/ports/kv.ts";

/** An ordered map in memory, for tests of what is applied to an index. */
export class MapKv {
  readonly #rows = new Map<string, Uint8Array>();

  readonly kv: Kv = {
    get: (key) => this.#rows.get(Buffer.from(key).toString("latin1")),
    range: ({ gte, lt, limit }) => {
      const inside = [...this.#rows]
        .map(([text, value]) => ({ key: Buffer.from(text, "latin1"), value }))
        .filter(({ key }) => gte === undefined || Buffer.compare(key, gte) >= 0)
        .filter(({ key }) => lt === undefined || Buffer.compare(key, lt) < 0);
      const sorted = inside.sort((left, right) => Buffer.compare(left.key, right.key));
      return sorted.slice(0, limit);
    },
    write: async (mutations) => this.take(mutations),
    sync: async () => undefined,
    backup: async () => undefined,
    sizeBytes: () => 0,
    count: () => this.#rows.size,
    close: async () => undefined,
  };

  take(mutations: readonly KvMutation[]): void {
    for (const { key, value } of mutations) {
      const text = Buffer.from(key).toString("latin1");
      if (value === undefined) this.#rows.delete(text);
      else this.#rows.set(text, Buffer.from(value));
    }
  }

  dump(): string[] {
    return [...this.#rows]
      .map(([text, value]) => `${text} ${Buffer.from(value).toString("hex")}`)
      .sort();
  }
}
