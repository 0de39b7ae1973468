import { expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
import type { MemberSite } from "../core/site-record.ts";
import { peersWhenWritten } from "./known-peers.ts";

test("peers are read while something was written lately, and not from a site at rest", async () => {
  const clock = new SimClock();
  const peer = {} as MemberSite;
  let written = 0;
  let reads = 0;
  let peers: readonly MemberSite[] = [];
  const known = peersWhenWritten({
    clock,
    activity: () => written,
    peers: () => {
      reads += 1;
      return peers;
    },
  });
  expect(known()).toEqual([]);
  await clock.advance(60_000);
  known();
  const before = reads;
  await clock.advance(60_000);
  expect(known()).toEqual([]);
  expect(reads).toBe(before);
  written = 1;
  expect(known()).toEqual([]);
  // What was written is in the index a moment later only.
  await clock.advance(5_000);
  peers = [peer];
  expect(known()).toEqual([peer]);
  await clock.advance(3_600_000);
  expect(known()).toEqual([peer]);
});
