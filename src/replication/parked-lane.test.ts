import { expect, test } from "vitest";
import { parseSeq, type Seq } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import { ParkedLane } from "./parked-lane.ts";

const seqOf = (seq: number): Seq => required(parseSeq(seq), "sequence");

/** Finds among these what stands behind a place. */
function among(...seqs: number[]) {
  return (behind: number) => seqs.filter((seq) => seq > behind).map(seqOf)[0];
}

test("each is tried once in the order of its log, and one that failed after a while", () => {
  const lane = new ParkedLane();
  const find = among(2, 5);
  const first = required(lane.next(0, find), "the first");
  expect(first).toEqual({ seq: 2, failures: 0 });
  expect(lane.next(0, find)?.seq).toBe(5);
  expect([lane.next(0, find), lane.restMs(0)]).toEqual([undefined, Number.POSITIVE_INFINITY]);
  lane.failed(first, 100);
  expect([lane.next(2099, find), lane.restMs(2099)]).toEqual([undefined, 1]);
  const second = required(lane.next(2100, find), "the second try");
  expect(second).toEqual({ seq: 2, failures: 1 });
  lane.failed(second, 2100);
  expect(lane.restMs(2100)).toBe(4000);
  lane.forgive();
  expect([lane.restMs(2100), lane.next(2100, find)?.failures]).toEqual([0, 2]);
});

test("a wait is never longer than five minutes", () => {
  const lane = new ParkedLane();
  let nowMs = 0;
  for (let failures = 0; failures < 20; failures++) {
    lane.failed({ seq: seqOf(1), failures }, nowMs);
    expect(lane.restMs(nowMs)).toBe(Math.min(300_000, 2000 * 2 ** failures));
    nowMs += lane.restMs(nowMs);
    lane.next(nowMs, among());
  }
});

test("those that fail and those that were not tried yet come by turns", () => {
  const lane = new ParkedLane();
  for (const seq of [1, 2, 3]) lane.failed({ seq: seqOf(seq), failures: seq }, 0);
  const find = among(7, 8, 9, 10);
  const seqs = Array.from({ length: 7 }, () => lane.next(1_000_000, find)?.seq);
  expect(seqs).toEqual([7, 1, 8, 2, 9, 3, 10]);
});
