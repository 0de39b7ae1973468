import { expect, test } from "vitest";
import { HLC_ZERO } from "../core/hlc.ts";
import { parseOriginId, parseSeq, type Seq } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import { OriginLogs } from "./origin-logs.ts";

const ORIGIN = required(parseOriginId("a".repeat(16)), "origin");
const chain = Buffer.alloc(32);

function seqOf(seq: number): Seq {
  return required(parseSeq(seq), "sequence");
}

/** A log of so many operations. */
function logOf(count: number): OriginLogs {
  const logs = new OriginLogs();
  logs.startAt([{ origin: ORIGIN, seq: seqOf(count), hlc: HLC_ZERO, chain, vector: new Map() }]);
  return logs;
}

test("a log is applied up to the first operation that is parked", () => {
  const logs = logOf(10);
  expect(logs.applied.get(ORIGIN)).toBe(10);
  for (const seq of [4, 5, 9]) logs.park({ origin: ORIGIN, seq: seqOf(seq) });
  expect(logs.applied.get(ORIGIN)).toBe(3);
  logs.unpark({ origin: ORIGIN, seq: seqOf(5) });
  expect(logs.applied.get(ORIGIN)).toBe(3);
  logs.unpark({ origin: ORIGIN, seq: seqOf(4) });
  expect(logs.applied.get(ORIGIN)).toBe(8);
  logs.unpark({ origin: ORIGIN, seq: seqOf(9) });
  expect(logs.applied.get(ORIGIN)).toBe(10);
});

test("however many operations wait for their bytes, the log goes on", () => {
  const count = 300_000;
  const logs = logOf(count);
  for (let seq = 2; seq <= count; seq++) logs.park({ origin: ORIGIN, seq: seqOf(seq) });
  expect(logs.applied.get(ORIGIN)).toBe(1);
});
