import { expect, test } from "vitest";
import { LeapClock } from "../../test/sim/leap-clock.ts";
import { LIMITS } from "../core/limits.ts";
import { parseOriginId, parseSeq, parseSiteId, type SiteId } from "../core/names.ts";
import type { LogStart } from "../core/records.ts";
import { required } from "../core/tagged-fields.ts";
import { BootstrapLeases } from "./bootstrap-leases.ts";

const ORIGIN = required(parseOriginId("1".repeat(16)), "origin");

function siteOf(number: number): SiteId {
  return required(parseSiteId(number.toString(16).padStart(16, "0")), "site");
}

function headsAt(seq: number): LogStart[] {
  const at = required(parseSeq(seq), "sequence");
  const hlc = 0n as LogStart["hlc"];
  return [{ origin: ORIGIN, seq: at, hlc, chain: Buffer.alloc(32), vector: new Map() }];
}

test("a lease keeps what came after its site began, until it was silent for an hour", () => {
  const clock = new LeapClock();
  const leases = new BootstrapLeases(clock);
  expect(leases.take("a", siteOf(1), headsAt(7))).toBe(true);
  clock.leap(LIMITS.bootstrapLeaseMs - 1);
  expect(leases.vectors()).toEqual([new Map([[ORIGIN, 7]])]);
  expect(leases.renew("a", siteOf(1))).toEqual(headsAt(7));
  clock.leap(LIMITS.bootstrapLeaseMs);
  expect(leases.renew("a", siteOf(1))).toEqual(headsAt(7));
  clock.leap(LIMITS.bootstrapLeaseMs + 1);
  expect(leases.renew("a", siteOf(1))).toBeUndefined();
  expect(leases.vectors()).toEqual([]);
});

test("a lease is its site's alone, and a site that begins again gives up its former one", () => {
  const leases = new BootstrapLeases(new LeapClock());
  leases.take("a", siteOf(1), headsAt(7));
  expect(leases.renew("a", siteOf(2))).toBeUndefined();
  expect(leases.renew("b", siteOf(1))).toBeUndefined();
  expect(leases.take("b", siteOf(1), headsAt(9))).toBe(true);
  expect(leases.renew("a", siteOf(1))).toBeUndefined();
  expect(leases.vectors()).toEqual([new Map([[ORIGIN, 9]])]);
});

test("there are never more than may be served at once", () => {
  const clock = new LeapClock();
  const leases = new BootstrapLeases(clock);
  for (let number = 1; number <= LIMITS.bootstrapsServedMax; number++) {
    expect(leases.take(`l${number}`, siteOf(number), headsAt(number))).toBe(true);
  }
  expect(leases.take("more", siteOf(99), headsAt(1))).toBe(false);
  clock.leap(LIMITS.bootstrapLeaseMs + 1);
  expect(leases.take("more", siteOf(99), headsAt(1))).toBe(true);
});
