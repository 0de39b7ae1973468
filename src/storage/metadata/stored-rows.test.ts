import { expect, test } from "vitest";
import { crc32OfSmall } from "../../core/crc32.ts";
import { parseBucketName } from "../../core/names.ts";
import type { Kv, KvMutation, KvRange, KvRow } from "../../ports/kv.ts";
import { objectKeyOf, prefixKeyOf, segmentKeyOf } from "./keys.ts";
import type { ObjectRow } from "./object-row.ts";
import { TABLES, type Table } from "./rows.ts";
import { IndexView } from "./view.ts";

/** Rows in memory, with a count of how often each key was asked for. */
class CountedKv {
  readonly rows = new Map<string, Uint8Array>();
  readonly asked = new Map<string, number>();

  get(key: Uint8Array): Uint8Array | undefined {
    const name = Buffer.from(key).toString("latin1");
    this.asked.set(name, (this.asked.get(name) ?? 0) + 1);
    return this.rows.get(name);
  }

  range(query: KvRange): Iterable<KvRow> {
    const [gte, lt] = [query.gte ?? Buffer.of(), query.lt ?? Buffer.of(0xff)];
    return [...this.rows]
      .map(([name, value]) => ({ key: Buffer.from(name, "latin1"), value }))
      .filter(({ key }) => Buffer.compare(key, gte) >= 0 && Buffer.compare(key, lt) < 0)
      .sort((left, right) => Buffer.compare(left.key, right.key));
  }

  take(mutations: readonly KvMutation[]): void {
    for (const { key, value } of mutations) {
      const name = Buffer.from(key).toString("latin1");
      if (value === undefined) this.rows.delete(name);
      else this.rows.set(name, Buffer.from(value));
    }
  }

  count({ prefix }: Table<unknown>, key: string): number {
    return this.asked.get(Buffer.from(prefix + key).toString("latin1")) ?? 0;
  }
}

function open(rows = new Map<string, Uint8Array>()) {
  const kv = new CountedKv();
  for (const [key, value] of rows) kv.rows.set(key, value);
  const view = new IndexView(kv as unknown as Kv, crc32OfSmall);
  const commit = (change: () => void): void => {
    change();
    const batch = view.takeBatch();
    kv.take(view.mutationsOf(batch));
    view.applied(batch);
  };
  return { kv, view, commit };
}

const BUCKET = parseBucketName("photos");
if (BUCKET === undefined) throw new Error("a good name was refused");
const PREFIX_KEY = prefixKeyOf(BUCKET, "2026/");

test("what is absent is asked of the store once, until the store changes", () => {
  const { kv, view, commit } = open();
  const key = objectKeyOf(BUCKET, "new");
  for (let time = 0; time < 3; time++) expect(view.get(TABLES.tombstone, key)).toBe(undefined);
  expect(kv.count(TABLES.tombstone, key)).toBe(1);
  commit(() => view.put(TABLES.grave, key, {}));
  expect(view.get(TABLES.tombstone, key)).toBe(undefined);
  expect(kv.count(TABLES.tombstone, key)).toBe(2);
});

function objectOf(size: number): ObjectRow {
  const hlc = 0x0190_0000_0000_0000n as ObjectRow["stamp"]["hlc"];
  const origin = "0123456789abcdef" as ObjectRow["stamp"]["origin"];
  return {
    stamp: { hlc, origin, seq: size as ObjectRow["stamp"]["seq"] },
    ...{ home: 5, nullSlot: true, place: { segment: 5, offset: 4096 } },
    object: {
      ...{ size, etag: "0123456789abcdef".repeat(2), lastModifiedMs: 0x0190_0000_0000 },
      attributes: { system: [], user: [], storageClass: undefined, tags: [] },
      ...{ checksums: [], parts: [], encryption: undefined, lock: undefined },
      body: { kind: "inline", bytes: size },
    },
  };
}

test("an object that a write asks for is asked of the store once, and is what it was made", () => {
  const { kv, view, commit } = open();
  const key = objectKeyOf(BUCKET, "often");
  for (let size = 1; size <= 3; size++) {
    commit(() => view.put(TABLES.object, key, objectOf(size)));
    const before = kv.count(TABLES.object, key);
    for (let time = 0; time < 3; time++) {
      expect(view.get(TABLES.object, key)?.object.size).toBe(size);
    }
    expect(kv.count(TABLES.object, key)).toBe(before + 1);
    expect(view.stored.get(TABLES.object, key)?.object.size).toBe(size);
  }
  commit(() => view.remove(TABLES.object, key));
  expect(view.get(TABLES.object, key)).toBe(undefined);
  expect(view.stored.get(TABLES.object, key)).toBe(undefined);
});

test("of several batches in line the last one says what a row will be", () => {
  const { kv, view } = open();
  const taken = [1, 2, 3].map((objects) => {
    view.put(TABLES.prefix, PREFIX_KEY, { objects, bytes: 0 });
    if (objects === 2) view.put(TABLES.grave, "second", {});
    const batch = view.takeBatch();
    return { batch, mutations: view.mutationsOf(batch) };
  });
  for (const { batch, mutations } of taken) {
    expect(view.get(TABLES.prefix, PREFIX_KEY)?.objects).toBe(3);
    expect(view.get(TABLES.grave, "second")).toEqual({});
    expect(view.rows(TABLES.prefix, "", "~").map(({ row }) => row.objects)).toEqual([3]);
    kv.take(mutations);
    view.applied(batch);
  }
  expect(view.get(TABLES.prefix, PREFIX_KEY)?.objects).toBe(3);
  const [first] = taken;
  expect(() => view.applied(first?.batch ?? new Map())).toThrow("in their order");
});

test("a row that was absent is found once a batch has brought it", () => {
  const { view, commit } = open();
  expect(view.get(TABLES.grave, "a")).toBe(undefined);
  commit(() => view.put(TABLES.grave, "a", {}));
  expect(view.get(TABLES.grave, "a")).toEqual({});
  expect(view.stored.get(TABLES.grave, "a")).toEqual({});
  commit(() => view.remove(TABLES.grave, "a"));
  expect(view.stored.get(TABLES.grave, "a")).toBe(undefined);
});

test("counts of a batch are taken over, are those of the store, and are not asked for", () => {
  const { kv, view, commit } = open();
  const segment = segmentKeyOf(7);
  for (let objects = 1; objects <= 3; objects++) {
    commit(() => {
      const before = view.get(TABLES.prefix, PREFIX_KEY)?.objects ?? 0;
      view.put(TABLES.prefix, PREFIX_KEY, { objects: before + 1, bytes: 10 });
      view.put(TABLES.segment, segment, { rows: objects, bytes: 0 });
    });
    expect(view.stored.get(TABLES.prefix, PREFIX_KEY)).toEqual({ objects, bytes: 10 });
    expect(view.stored.get(TABLES.segment, segment)).toEqual({ rows: objects, bytes: 0 });
  }
  expect(kv.count(TABLES.prefix, PREFIX_KEY)).toBe(1);
  expect(kv.count(TABLES.segment, segment)).toBe(0);
  const again = open(kv.rows);
  expect(again.view.get(TABLES.prefix, PREFIX_KEY)).toEqual({ objects: 3, bytes: 10 });
  expect(again.view.get(TABLES.segment, segment)).toEqual({ rows: 3, bytes: 0 });
});

test("a count that a batch removes is gone, and a later one begins anew", () => {
  const { view, commit } = open();
  commit(() => view.put(TABLES.prefix, PREFIX_KEY, { objects: 1, bytes: 1 }));
  commit(() => view.remove(TABLES.prefix, PREFIX_KEY));
  expect(view.stored.get(TABLES.prefix, PREFIX_KEY)).toBe(undefined);
  commit(() => view.put(TABLES.prefix, PREFIX_KEY, { objects: 5, bytes: 5 }));
  expect(view.stored.get(TABLES.prefix, PREFIX_KEY)).toEqual({ objects: 5, bytes: 5 });
});

test("clients see what is stored while later batches are ahead in line", () => {
  const { kv, view, commit } = open();
  commit(() => view.put(TABLES.prefix, PREFIX_KEY, { objects: 1, bytes: 1 }));
  view.put(TABLES.prefix, PREFIX_KEY, { objects: 2, bytes: 2 });
  const first = view.takeBatch();
  const mutations = view.mutationsOf(first);
  view.put(TABLES.prefix, PREFIX_KEY, { objects: 3, bytes: 3 });
  expect(view.stored.get(TABLES.prefix, PREFIX_KEY)).toEqual({ objects: 1, bytes: 1 });
  expect(view.get(TABLES.prefix, PREFIX_KEY)).toEqual({ objects: 3, bytes: 3 });
  kv.take(mutations);
  view.applied(first);
  expect(view.stored.get(TABLES.prefix, PREFIX_KEY)).toEqual({ objects: 2, bytes: 2 });
  expect(view.get(TABLES.prefix, PREFIX_KEY)).toEqual({ objects: 3, bytes: 3 });
});

test("a row changed twice in one batch is stored as it was last", () => {
  const { kv, view, commit } = open();
  commit(() => {
    view.put(TABLES.prefix, PREFIX_KEY, { objects: 1, bytes: 1 });
    view.put(TABLES.prefix, PREFIX_KEY, { objects: 9, bytes: 9 });
    view.put(TABLES.grave, "gone", {});
    view.remove(TABLES.grave, "gone");
  });
  const { view: again } = open(kv.rows);
  expect(again.get(TABLES.prefix, PREFIX_KEY)).toEqual({ objects: 9, bytes: 9 });
  expect(again.get(TABLES.grave, "gone")).toBe(undefined);
});
