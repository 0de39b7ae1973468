import { expect, test } from "vitest";
import { createInlineHash } from "../../test/sim/sim-hash.ts";
import { MapKv } from "../../test/support/map-kv.ts";
import { NO_HOLES } from "../core/applied-set.ts";
import { ByteWriter } from "../core/bytes.ts";
import { HLC_ZERO } from "../core/hlc.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import type { Kv } from "../ports/kv.ts";
import { logRunKeyOf } from "./metadata/keys.ts";
import { encodeRow, TABLES, type Table } from "./metadata/rows.ts";
import { indexKey, StoredRows } from "./metadata/stored-rows.ts";
import { VisibleLogs } from "./visible-logs.ts";

const OWN = originOf("a");
const BERLIN = originOf("b");
const OSLO = originOf("c");

function originOf(digit: string, number = 0): OriginId {
  const text = digit.repeat(16).slice(0, number === 0 ? 16 : 14);
  return required(parseOriginId(text.padEnd(16, `${number}`.padStart(2, "0"))), "origin");
}

function seqOf(seq: number): Seq {
  return required(parseSeq(seq), "sequence");
}

/** The logs of two sites, of which these operations are parked; counts the rows that are read. */
async function openLogs(
  length: number,
  parked: ReadonlyArray<readonly [OriginId, number]>,
  origins: readonly OriginId[] = [BERLIN, OSLO],
) {
  const hash = await createInlineHash();
  const map = new MapKv();
  const put = <Row>(table: Table<Row>, key: string, row: Row): void => {
    const writer = new ByteWriter(256);
    const { start, end } = encodeRow(writer, table, row, hash.crc32);
    const value = writer.slice(start, end);
    map.take([{ key: indexKey(table.prefix, key), value }]);
  };
  for (const origin of origins) {
    const chain = Buffer.alloc(32);
    put(TABLES.originHead, origin, { seq: seqOf(length), chain, hlc: HLC_ZERO, vector: new Map() });
  }
  for (const [origin, seq] of parked) {
    const at = { home: 1, hlc: HLC_ZERO, slot: undefined };
    put(TABLES.parked, logRunKeyOf(origin, seq), { ...at, reason: "gone", vector: new Map() });
  }
  let rowsRead = 0;
  const kv: Kv = {
    ...map.kv,
    *range(query) {
      for (const row of map.kv.range(query)) {
        rowsRead += 1;
        yield row;
      }
    },
  };
  const logs = new VisibleLogs({ kv, hash, index: new StoredRows(kv, hash.crc32) }, OWN);
  return { logs, rowsRead: () => rowsRead };
}

test("a log is applied up to the first of its operations that is parked", async () => {
  const { logs } = await openLogs(90, [
    [BERLIN, 7],
    [BERLIN, 8],
    [BERLIN, 30],
  ]);
  expect(logs.applied).toEqual(
    new Map([
      [BERLIN, 6],
      [OSLO, 90],
    ]),
  );
  const none = await openLogs(9, [[OSLO, 1]]);
  expect(none.logs.applied).toEqual(new Map([[BERLIN, 9]]));
});

test("parked operations are told by origin, all of them or those behind a place", async () => {
  const { logs } = await openLogs(90, [
    [OSLO, 2],
    [BERLIN, 7],
    [BERLIN, 30],
    [BERLIN, 31],
  ]);
  const seqs = (part?: Parameters<typeof logs.parked>[0]) =>
    logs.parked(part).map(({ dot: { origin, seq } }) => [origin, seq]);
  expect(seqs()).toEqual([
    [BERLIN, 7],
    [BERLIN, 30],
    [BERLIN, 31],
    [OSLO, 2],
  ]);
  expect(seqs({ origin: BERLIN, behind: 7, countMax: 1 })).toEqual([[BERLIN, 30]]);
  expect(seqs({ origin: BERLIN, behind: 31, countMax: 5 })).toEqual([]);
  expect(seqs({ origin: OSLO, behind: 0, countMax: 5 })).toEqual([[OSLO, 2]]);
});

test("what is parked behind that is told as runs, and nothing where nothing is parked", async () => {
  const { logs } = await openLogs(90, [
    [BERLIN, 7],
    [BERLIN, 8],
    [BERLIN, 30],
    [OSLO, 1],
  ]);
  const runs = (...of: Array<[number, number]>) => of.map((run) => run.map(seqOf));
  expect(logs.holes).toEqual(
    new Map([
      [BERLIN, { upTo: 90, ranges: runs([7, 8], [30, 30]) }],
      [OSLO, { upTo: 90, ranges: runs([1, 1]) }],
    ]),
  );
  expect((await openLogs(90, [])).logs.holes).toEqual(NO_HOLES);
});

test("of very many holes the first are told, and what stands behind them as missing", async () => {
  const apart = Array.from({ length: 200 }, (_, at) => [BERLIN, 2 * at + 2] as const);
  const many = await openLogs(900, apart);
  const hole = many.logs.holes.get(BERLIN);
  expect([hole?.ranges.length, hole?.ranges.at(-1), hole?.upTo]).toEqual([64, [128, 128], 129]);
  const inRow = Array.from({ length: 5000 }, (_, at) => [BERLIN, at + 2] as const);
  const { logs, rowsRead } = await openLogs(9000, inRow);
  expect(logs.holes.get(BERLIN)).toEqual({ upTo: 1025, ranges: [[2, 1025]] });
  const once = rowsRead();
  expect(once).toBeLessThan(1040);
  expect(logs.holes.size).toBe(1);
  expect(rowsRead()).toBe(once);
});

test("holes of very many origins take a bounded part of every message", async () => {
  const origins = Array.from({ length: 20 }, (_, at) =>
    originOf("bcdef0123456789a"[at % 16] ?? "", at),
  );
  const apart = Array.from({ length: 60 }, (_, at) => 2 * at + 2);
  const parked = origins.flatMap((origin) => apart.map((seq) => [origin, seq] as const));
  const { logs } = await openLogs(900, parked, origins);
  const runs = [...logs.holes.values()].map(({ ranges }) => ranges.length);
  expect(runs.reduce((sum, count) => sum + count, 0)).toBe(1024);
  expect([logs.holes.size, Math.min(...runs)]).toEqual([18, 4]);
});

test("how far logs are costs the same to tell, however many operations are parked", async () => {
  const many = Array.from({ length: 1000 }, (_, at) => [BERLIN, at + 2] as const);
  const { logs, rowsRead } = await openLogs(2000, many);
  expect(logs.applied.get(BERLIN)).toBe(1);
  expect(rowsRead()).toBeLessThan(10);
});
