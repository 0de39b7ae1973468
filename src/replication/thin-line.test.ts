import { expect, test } from "vitest";
import { appliedSeqs, openTwins, writeSmall } from "../../test/support/replication-twins.ts";

test("small operations do not wait behind a body that takes a bounded line for long", async () => {
  const { clock, site, start, stop } = await openTwins(["berlin", "paris"], 100_000);
  const [berlin, paris] = [site("berlin"), site("paris")];
  berlin.replica.writeLarge("large", [Buffer.alloc(1_000_000, 7)]);
  writeSmall(berlin, "small");
  start();
  await clock.advance(2000);
  expect(paris.replica.entries.map(({ inline }) => inline?.toString())).toContain("small");
  expect(paris.replica.parked().map(({ dot }) => dot.seq)).toEqual([1]);
  await clock.advance(12_000);
  expect([appliedSeqs(paris), paris.replica.parked()]).toEqual([[2], []]);
  await stop();
});
