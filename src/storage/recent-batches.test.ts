import { expect, test } from "vitest";
import { LIMITS } from "../core/limits.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "../core/names.ts";
import { type NotedOperation, RecentBatches } from "./recent-batches.ts";
import { BATCH_HEADER_BYTES } from "./segment/batch.ts";
import { RECORD_HEADER_BYTES } from "./segment/record.ts";

const ORIGIN = parseOriginId("0123456789abcdef") as OriginId;
const SEGMENT = 3;

function noted(seq: number, start: number, end: number): NotedOperation {
  const dot = { origin: ORIGIN, seq: parseSeq(seq) as Seq };
  return { dot, group: undefined, start, end, body: undefined };
}

function batchAt(recent: RecentBatches, offset: number, bytes: number): void {
  recent.keep({ segment: SEGMENT, offset }, [noted(1, 0, 10)], Buffer.alloc(bytes, 1));
}

test("nothing is kept before somebody reads, and from then on batches are", () => {
  const recent = new RecentBatches();
  expect(recent.isWanted).toBe(false);
  batchAt(recent, 0, 4096);
  expect(recent.get({ segment: SEGMENT, offset: 0 })).toBe(undefined);
  expect(recent.isWanted).toBe(true);
  batchAt(recent, 4096, 4096);
  expect(recent.get({ segment: SEGMENT, offset: 4096 })?.length).toBe(1);
});

test("operations and bodies are given as they lay in the batch, also when its memory changes", () => {
  const recent = new RecentBatches();
  recent.get({ segment: SEGMENT, offset: 0 });
  const laidOut = Buffer.from(Array.from({ length: 300 }, (_, at) => at % 251));
  const owner = Buffer.from("owner");
  const body = { owner, bytes: Buffer.alloc(20), place: { offset: 8192 + 150 } };
  const place = { segment: SEGMENT, offset: 8192 };
  recent.keep(place, [noted(1, 16, 40), { ...noted(2, 56, 70), body }], laidOut);
  const before = Buffer.from(laidOut);
  laidOut.fill(0);
  const [first, second] = recent.get(place) ?? [];
  const from = BATCH_HEADER_BYTES;
  expect(before.subarray(from + 16, from + 40).equals(first?.encoded ?? Buffer.of())).toBe(true);
  expect(first?.inline).toBe(undefined);
  const at = 150 + RECORD_HEADER_BYTES + owner.length;
  expect(before.subarray(at, at + 20).equals(second?.inline ?? Buffer.of())).toBe(true);
  expect(second?.operation.dot.seq).toBe(2);
});

test("the oldest go first, and all when nobody has read for as long as there is room", () => {
  const recent = new RecentBatches();
  const bytes = LIMITS.recentBatchesBytesMax / 4;
  recent.get({ segment: SEGMENT, offset: 0 });
  for (let count = 0; count < 5; count++) batchAt(recent, count, bytes);
  expect(recent.get({ segment: SEGMENT, offset: 0 })).toBe(undefined);
  expect(recent.get({ segment: SEGMENT, offset: 1 })?.length).toBe(1);
  for (let count = 5; count < 11; count++) batchAt(recent, count, bytes);
  expect(recent.isWanted).toBe(false);
  expect(recent.get({ segment: SEGMENT, offset: 9 })).toBe(undefined);
});

test("what was given stays as it was when its memory holds other batches", () => {
  const recent = new RecentBatches();
  recent.get({ segment: SEGMENT, offset: 0 });
  const bytes = 300 * 1024;
  const keep = (offset: number, value: number): void => {
    const laidOut = Buffer.alloc(bytes, value);
    recent.keep({ segment: SEGMENT, offset }, [noted(1, 0, bytes - BATCH_HEADER_BYTES)], laidOut);
  };
  keep(1, 7);
  const given = recent.get({ segment: SEGMENT, offset: 1 })?.[0]?.encoded ?? Buffer.of();
  for (let offset = 2; recent.get({ segment: SEGMENT, offset: 1 }) !== undefined; offset++) {
    keep(offset, offset % 2 === 0 ? 8 : 9);
  }
  expect(given.length).toBe(bytes - BATCH_HEADER_BYTES);
  expect(given.every((byte) => byte === 7)).toBe(true);
  const [last] = recent.get({ segment: SEGMENT, offset: 40 }) ?? [];
  expect(last?.encoded.every((byte) => byte === 8)).toBe(true);
});

test("a batch that has to be read from the disk is not kept", () => {
  const recent = new RecentBatches();
  recent.get({ segment: SEGMENT, offset: 0 });
  recent.keep({ segment: SEGMENT, offset: 0 }, undefined, Buffer.alloc(4096));
  expect(recent.get({ segment: SEGMENT, offset: 0 })).toBe(undefined);
});
