import { expect, test } from "vitest";
import { appliedSeqs, openTwins, writeSmall } from "../../test/support/replication-twins.ts";
import { countMissingOf } from "../core/applied-set.ts";

test("small operations do not wait behind a body that takes a bounded line for long", async () => {
  const { clock, site, start, stop } = await openTwins(["berlin", "paris"], 100_000);
  const [berlin, paris] = [site("berlin"), site("paris")];
  berlin.replica.writeLarge("large", [Buffer.alloc(1_000_000, 7)]);
  writeSmall(berlin, "small");
  start();
  await clock.advance(2000);
  expect(paris.replica.entries.map(({ inline }) => inline?.toString())).toContain("small");
  expect(paris.replica.parked().map(({ dot }) => dot.seq)).toEqual([1]);
  // Nothing but the body that is on its way is missing, and the other site knows that.
  const missing = (): number => {
    const { applied = new Map(), holes } = berlin.watch.facts(paris.member.id);
    return countMissingOf({ applied, holes }, berlin.replica.applied());
  };
  expect(missing()).toBe(1);
  writeSmall(berlin, "another");
  await clock.advance(1000);
  expect([missing(), paris.replica.entries.length]).toEqual([1, 3]);
  await clock.advance(11_000);
  expect([appliedSeqs(paris), paris.replica.parked(), missing()]).toEqual([[3], [], 0]);
  await stop();
});
