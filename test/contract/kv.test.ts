import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Disk } from "../../src/ports/disk.ts";
import type { Kv, KvMutation, KvRange, KvRow, OpenKv } from "../../src/ports/kv.ts";
import { openLmdb } from "../../src/ports/kv-lmdb.ts";
import { walkRows } from "../../src/ports/kv-walk.ts";
import { createNodeDisk } from "../../src/ports/node-disk.ts";
import { Seed } from "../sim/seed.ts";
import { SimDisk } from "../sim/sim-disk.ts";
import { openSimKv } from "../sim/sim-kv.ts";
import { fc } from "../support/properties.ts";

type Fixture = {
  readonly disk: Disk;
  readonly openKv: OpenKv;
  readonly root: string;
  readonly close: () => void;
};

function lmdb(): Fixture {
  const root = mkdtempSync(`${tmpdir()}/atoll-kv-`);
  const close = (): void => rmSync(root, { recursive: true, force: true });
  return { disk: createNodeDisk(), openKv: openLmdb, root, close };
}

function simulated(): Fixture {
  const disk = new SimDisk(new Seed("kv contract"), { directories: ["/data"] });
  return { disk, openKv: openSimKv(disk), root: "/data", close: () => undefined };
}

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const put = (key: string, value: string): KvMutation => ({ key: bytes(key), value: bytes(value) });
const remove = (key: string): KvMutation => ({ key: bytes(key), value: undefined });
const showRow = ({ key, value }: KvRow): string =>
  [key, value].map((part) => Buffer.from(part).toString("latin1")).join("=");

/** A row's value is only valid until the next one is asked for, so each is written out at once. */
function show(rows: Iterable<KvRow>): string[] {
  const shown: string[] = [];
  for (const row of rows) shown.push(showRow(row));
  return shown;
}

/** What a walk passes, copied row by row. */
function* walked(kv: Kv, query: KvRange): Iterable<KvRow> {
  const walk = walkRows(kv, query);
  while (walk.next()) {
    const { key, keyStart, keyEnd, value, valueEnd } = walk;
    yield { key: key.slice(keyStart, keyEnd), value: value.slice(0, valueEnd) };
  }
  walk.close();
}

describe.each([
  ["LMDB", lmdb],
  ["the simulated index", simulated],
])("%s", (_name, open) => {
  let fixture: Fixture;
  let kv: Kv;

  beforeEach(async () => {
    fixture = open();
    kv = await fixture.openKv(`${fixture.root}/index`);
  });
  afterEach(async () => {
    await kv.close();
    fixture.close();
  });

  test("a write is seen by the first read after it has resolved", async () => {
    for (let round = 0; round < 200; round++) {
      expect(kv.get(bytes(`k${round}`))).toBeUndefined();
      await kv.write([put(`k${round}`, `v${round}`), put("latest", `${round}`)]);
      expect(show([{ key: bytes("latest"), value: kv.get(bytes("latest")) ?? bytes("") }])).toEqual(
        [`latest=${round}`],
      );
      expect(Buffer.from(kv.get(bytes(`k${round}`)) ?? [])).toEqual(bytes(`v${round}`));
    }
    expect(kv.count()).toBe(201);
  });

  test("values stay as they were read while other values are read", async () => {
    await kv.write([put("a", "first"), put("b", "other"), put("c", "x".repeat(100_000))]);
    const first = kv.get(bytes("a"));
    kv.get(bytes("b"));
    const large = kv.get(bytes("c"));
    kv.get(bytes("b"));
    expect(Buffer.from(first ?? []).toString()).toBe("first");
    expect(Buffer.from(large ?? []).toString()).toBe("x".repeat(100_000));
  });

  test("later mutations of a key win, and removing what is absent is fine", async () => {
    await kv.write([put("k", "1"), remove("k"), put("k", "2"), remove("absent")]);
    await kv.write([put("gone", "1"), remove("gone")]);
    await kv.write([]);
    expect(show(kv.range({}))).toEqual(["k=2"]);
  });

  test("an empty value is a value", async () => {
    await kv.write([put("k", "")]);
    expect(kv.get(bytes("k"))?.length).toBe(0);
    expect(show(kv.range({}))).toEqual(["k="]);
  });

  test("several thousand mutations are one write", async () => {
    const many = Array.from({ length: 5000 }, (_, index) => put(`k${index}`, `v${index}`));
    const writing = kv.write(many);
    const half = kv.count();
    await writing;
    expect([half, kv.count()]).toEqual([0, 5000]);
  });

  test("a write that is refused leaves nothing behind, wherever its bad key stands", async () => {
    const long: KvMutation = { key: Buffer.alloc(1979, 1), value: bytes("v") };
    const empty: KvMutation = { key: bytes(""), value: bytes("v") };
    for (const bad of [long, empty]) {
      await expect(kv.write([put("before", "1"), bad, put("after", "1")])).rejects.toThrow("1,978");
    }
    await kv.write([put("good", "1")]);
    expect(show(kv.range({}))).toEqual(["good=1"]);
  });

  test("bounds of a range that are longer than a key can be are refused", async () => {
    const long = Buffer.alloc(1979, 1);
    for (const query of [{ gte: long }, { gt: long }, { lt: long }]) {
      expect(() => [...kv.range(query)]).toThrow("1,978");
    }
  });

  test("keys may have one to 1,978 bytes of any value", async () => {
    const keys = [
      Buffer.from([0]),
      Buffer.from([255]),
      Buffer.alloc(1978),
      Buffer.alloc(1978, 255),
    ];
    await kv.write(keys.map((key, index) => ({ key, value: bytes(String(index)) })));
    expect(keys.map((key) => Buffer.from(kv.get(key) ?? []).toString())).toEqual([
      "0",
      "1",
      "2",
      "3",
    ]);
    const inOrder = [...kv.range({})].map((row) => row.key.length);
    expect(inOrder).toEqual([1, 1978, 1, 1978]);
    expect([...kv.range({ reverse: true })].map((row) => row.key.length)).toEqual(
      inOrder.toReversed(),
    );
    expect([...kv.range({ gt: Buffer.alloc(1978) })].map((row) => row.key[0])).toEqual([255, 255]);
  });

  test("a range is a snapshot: writes beside it are not seen", async () => {
    await kv.write([put("a", "1"), put("b", "1"), put("c", "1")]);
    const rows = kv.range({})[Symbol.iterator]();
    const first = showRow(rows.next().value);
    const writing = kv.write([remove("b"), put("bb", "2"), put("c", "2")]);
    const seen = [first];
    for (let next = rows.next(); !next.done; next = rows.next()) seen.push(showRow(next.value));
    await writing;
    expect(seen).toEqual(["a=1", "b=1", "c=1"]);
    expect(show(kv.range({}))).toEqual(["a=1", "bb=2", "c=2"]);
  });

  test("a range left early does not disturb the next", async () => {
    await kv.write([put("a", "1"), put("b", "1"), put("c", "1")]);
    for (let round = 0; round < 200; round++) {
      for (const row of kv.range({})) {
        expect(show(kv.range({ gt: row.key, limit: 1 }))).toEqual(["b=1"]);
        break;
      }
    }
    expect(show(kv.range({ gte: bytes("b") }))).toEqual(["b=1", "c=1"]);
  });

  test("a walk goes on where it was, whatever is read beside it", async () => {
    const large = "x".repeat(100_000);
    await kv.write([put("a", "1"), put("b", large), put("c", "3")]);
    const passed: string[] = [];
    for (const row of walked(kv, {})) {
      passed.push(showRow(row));
      kv.get(bytes("b"));
      expect(show(kv.range({ gte: bytes("c") }))).toEqual(["c=3"]);
    }
    expect(passed).toEqual(["a=1", `b=${large}`, "c=3"]);
  });

  test("a walk left early does not disturb the next, and ends once", async () => {
    await kv.write([put("a", "1"), put("b", "2")]);
    for (let round = 0; round < 200; round++) {
      const walk = walkRows(kv, {});
      expect(walk.next()).toBe(true);
      walk.close();
      walk.close();
    }
    expect(show(walked(kv, { gt: bytes("a") }))).toEqual(["b=2"]);
  });

  test("every range gives what a sorted list gives", async () => {
    const key = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 });
    const bound = fc.option(fc.uint8Array({ maxLength: 3, max: 3 }), { nil: undefined });
    const all: KvRow[] = [];
    for (let a = 0; a < 4; a++) {
      all.push({ key: Buffer.from([a]), value: bytes("1") });
      for (let b = 0; b < 4; b++) all.push({ key: Buffer.from([a, b]), value: bytes("2") });
    }
    await kv.write(all);
    const query = fc.record({
      from: bound,
      exclusive: fc.boolean(),
      lt: bound,
      reverse: fc.boolean(),
      limit: fc.option(fc.nat(12), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(query, key, async ({ from, exclusive, lt, reverse, limit }, absent) => {
        const range: KvRange = {
          ...(from !== undefined && (exclusive ? { gt: from } : { gte: from })),
          ...(lt !== undefined && { lt }),
          ...(limit !== undefined && { limit }),
          reverse,
        };
        expect(show(kv.range(range))).toEqual(show(modelRange(all, range)));
        expect(show(walked(kv, range))).toEqual(show(modelRange(all, range)));
        const found = all.find((row) => Buffer.compare(row.key, absent) === 0);
        expect(kv.get(absent) === undefined).toBe(found === undefined);
      }),
      { numRuns: 300 },
    );
  });

  test("a store opened again has its rows", async () => {
    await kv.write([put("a", "1")]);
    await kv.close();
    kv = await fixture.openKv(`${fixture.root}/index`);
    expect(show(kv.range({}))).toEqual(["a=1"]);
    expect(kv.sizeBytes()).toBeGreaterThan(0);
  });

  test("a backup can be moved into place and opened like the original", async () => {
    const { disk, openKv, root } = fixture;
    await kv.write([put("a", "1")]);
    await kv.backup(`${root}/copy`);
    await kv.write([put("a", "2"), put("b", "2")]);
    await kv.sync();
    await kv.close();
    await disk.removeTree(`${root}/index`);
    await disk.rename(`${root}/copy`, `${root}/index`);
    kv = await openKv(`${root}/index`);
    expect(show(kv.range({}))).toEqual(["a=1"]);
    await kv.write([put("c", "3")]);
    expect(show(kv.range({}))).toEqual(["a=1", "c=3"]);
  });

  test("its files are for their owner only", async () => {
    const { disk, root } = fixture;
    expect((await disk.stat(`${root}/index`))?.mode).toBe(0o700);
    for (const name of await disk.list(`${root}/index`)) {
      expect((await disk.stat(`${root}/index/${name}`))?.mode).toBe(0o600);
    }
  });

  test("a closed store takes no more writes, and closing waits for those under way", async () => {
    const writing = kv.write([put("a", "1")]);
    await kv.close();
    await writing;
    await expect(kv.write([put("b", "1")])).rejects.toThrow("closed");
    await kv.close();
    kv = await fixture.openKv(`${fixture.root}/index`);
    expect(show(kv.range({}))).toEqual(["a=1"]);
  });
});

function modelRange(rows: readonly KvRow[], query: KvRange): KvRow[] {
  const { gt, gte, lt, limit } = query;
  const found = rows
    .filter((row) => gt === undefined || Buffer.compare(row.key, gt) > 0)
    .filter((row) => gte === undefined || Buffer.compare(row.key, gte) >= 0)
    .filter((row) => lt === undefined || Buffer.compare(row.key, lt) < 0)
    .sort((left, right) => Buffer.compare(left.key, right.key));
  return (query.reverse === true ? found.reverse() : found).slice(0, limit);
}
