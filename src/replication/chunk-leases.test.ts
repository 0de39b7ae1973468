import { expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { LIMITS } from "../core/limits.ts";
import { type ContentHash, parseContentHash } from "../core/names.ts";
import { ChunkLeases } from "./chunk-leases.ts";

function hashOf(number: number): ContentHash {
  return parseContentHash(number.toString(16).padStart(64, "0")) as ContentHash;
}

function openLeases() {
  const clock = new SimClock();
  const held = new Set<ContentHash>();
  const leases = new ChunkLeases({
    clock,
    hold: ([chunk]) => {
      if (chunk !== undefined) held.add(chunk);
      return () => {
        if (chunk !== undefined) held.delete(chunk);
      };
    },
  });
  return { clock, held, leases };
}

test("a lease ends by itself, and use renews it", async () => {
  const { clock, held, leases } = openLeases();
  leases.take(hashOf(1), () => [hashOf(11)]);
  leases.take(hashOf(2), () => [hashOf(12)]);
  await clock.advance(LIMITS.replicationLeaseMs - 1);
  leases.renew(hashOf(2));
  await clock.advance(1);
  expect([...held]).toEqual([hashOf(12)]);
  await clock.advance(LIMITS.replicationLeaseMs);
  expect(held.size).toBe(0);
  expect(clock.pendingTimers).toBe(0);
});

test("the lease that was used least lately makes room for one too many", () => {
  const { held, leases } = openLeases();
  for (let count = 0; count < LIMITS.replicationLeasesMax; count++) {
    leases.take(hashOf(count), () => [hashOf(count)]);
  }
  leases.renew(hashOf(0));
  leases.take(hashOf(9999), () => [hashOf(9999)]);
  expect(leases.count).toBe(LIMITS.replicationLeasesMax);
  expect(held.has(hashOf(0))).toBe(true);
  expect(held.has(hashOf(1))).toBe(false);
});

test("closing lets go of everything, timers included, and what is not held is not renewed", () => {
  const { clock, held, leases } = openLeases();
  leases.take(hashOf(1), () => [hashOf(1)]);
  leases.close();
  leases.renew(hashOf(1));
  expect([held.size, leases.count, clock.pendingTimers]).toEqual([0, 0, 0]);
});
