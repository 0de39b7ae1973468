import { beforeEach, describe, expect, test } from "vitest";
import { SimClock } from "../../../test/sim/sim-clock.ts";
import { HLC_ZERO } from "../../core/hlc.ts";
import { LIMITS } from "../../core/limits.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "../../core/names.ts";
import type { WriteToken } from "../../core/write-token.ts";
import { S3Error } from "../errors.ts";
import { AppliedWaits } from "./applied-waits.ts";

function originOf(digit: string): OriginId {
  const origin = parseOriginId(digit.repeat(16));
  if (origin === undefined) throw new Error("16 hexadecimal digits are an origin");
  return origin;
}

function seqOf(value: number): Seq {
  const seq = parseSeq(value);
  if (seq === undefined) throw new Error("a whole number is a position");
  return seq;
}

const PARIS = originOf("a");
const OSLO = originOf("b");

let applied: Map<OriginId, Seq>;
let listeners: Set<() => void>;
let clock: SimClock;
let waits: AppliedWaits;

beforeEach(() => {
  applied = new Map([[PARIS, seqOf(5)]]);
  listeners = new Set();
  clock = new SimClock(0);
  waits = new AppliedWaits(
    {
      applied: () => applied,
      onCommit: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    clock,
  );
});

function tokenOf(origin: OriginId, seq: number): WriteToken {
  return { origin, seq: seqOf(seq), hlc: HLC_ZERO };
}

function commit(origin: OriginId, seq: number): void {
  applied.set(origin, seqOf(seq));
  for (const listener of listeners) listener();
}

/** Asks, and tells what became of it as soon as something has. */
function ask(token: WriteToken, waitMs: number, signed = true) {
  const seen = { outcome: "waits", leave: (): void => undefined };
  waits
    .until({
      ...{ token, waitMs, signed },
      onAbort: (callback) => {
        seen.leave = callback;
      },
    })
    .then(
      () => {
        seen.outcome = "applied";
      },
      (failure: unknown) => {
        seen.outcome = failure instanceof S3Error ? failure.code : String(failure);
      },
    );
  return seen;
}

function nothingIsLeft(): void {
  expect(waits.waiting).toBe(0);
  expect(listeners.size).toBe(0);
  expect(clock.pendingTimers).toBe(0);
}

describe("a request that names a write", () => {
  test("goes on at once when it has been applied, without listening", async () => {
    const seen = ask(tokenOf(PARIS, 5), 1000);
    nothingIsLeft();
    await clock.advance(0);
    expect(seen.outcome).toBe("applied");
  });

  test("goes on with the commit that applies it, and not with one before", async () => {
    const seen = [ask(tokenOf(PARIS, 6), 1000), ask(tokenOf(OSLO, 2), 1000)];
    expect(listeners.size).toBe(1);
    commit(OSLO, 1);
    await clock.advance(10);
    expect(seen.map(({ outcome }) => outcome)).toEqual(["waits", "waits"]);
    commit(OSLO, 3);
    await clock.advance(10);
    expect(seen.map(({ outcome }) => outcome)).toEqual(["waits", "applied"]);
    commit(PARIS, 6);
    await clock.advance(10);
    expect(seen.map(({ outcome }) => outcome)).toEqual(["applied", "applied"]);
    nothingIsLeft();
  });

  test("is told that it is not here yet: at once without a wait, in time with one", async () => {
    const hurried = ask(tokenOf(PARIS, 6), 0);
    await clock.advance(0);
    expect(hurried.outcome).toBe("ServiceUnavailable");
    const patient = ask(tokenOf(PARIS, 6), 500);
    await clock.advance(499);
    expect(patient.outcome).toBe("waits");
    await clock.advance(1);
    expect(patient.outcome).toBe("ServiceUnavailable");
    nothingIsLeft();
  });

  test("is forgotten when its client has gone", async () => {
    const seen = ask(tokenOf(PARIS, 6), 1000);
    seen.leave();
    nothingIsLeft();
    commit(PARIS, 6);
    await clock.advance(0);
    expect(seen.outcome).toBe("ServiceUnavailable");
  });
});

test("there is room for so many, half of it for those who do not sign", async () => {
  const half = LIMITS.appliedWaitersMax / 2;
  const unsigned = Array.from({ length: half + 1 }, () => ask(tokenOf(PARIS, 6), 1000, false));
  const signed = Array.from({ length: half + 1 }, () => ask(tokenOf(PARIS, 6), 1000));
  await clock.advance(0);
  expect(unsigned.filter(({ outcome }) => outcome === "SlowDown")).toHaveLength(1);
  expect(signed.filter(({ outcome }) => outcome === "SlowDown")).toHaveLength(1);
  commit(PARIS, 6);
  await clock.advance(0);
  expect(unsigned.filter(({ outcome }) => outcome === "applied")).toHaveLength(half);
  expect(signed.filter(({ outcome }) => outcome === "applied")).toHaveLength(half);
  nothingIsLeft();
  const later = ask(tokenOf(PARIS, 7), 1000, false);
  await clock.advance(0);
  expect(later.outcome).toBe("waits");
});
