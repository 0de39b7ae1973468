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

test("an operation has seen what was received, whatever of it waits for its bytes", () => {
  const logs = logOf(10);
  const { received } = logs;
  for (const seq of [4, 5, 9]) logs.park({ origin: ORIGIN, seq: seqOf(seq) });
  expect(logs.received).toBe(received);
  expect([...received]).toEqual([[ORIGIN, 10]]);
  expect([3, 4, 10].map((seq) => logs.isApplied({ origin: ORIGIN, seq: seqOf(seq) }))).toEqual([
    true,
    false,
    true,
  ]);
  logs.unpark({ origin: ORIGIN, seq: seqOf(4) });
  expect(logs.isApplied({ origin: ORIGIN, seq: seqOf(4) })).toBe(true);
});
