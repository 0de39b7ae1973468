import { expect, test } from "vitest";
import { openTwins, writeSmall } from "../../test/support/replication-twins.ts";
import { dotOf } from "./log-entries.ts";

test("what is refused each time is asked for more and more rarely", async () => {
  const { clock, site, start, stop } = await openTwins(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  paris.replica.ingest = async (all) =>
    all.map(({ encoded }) => {
      const message = "what came before it is not here";
      return { outcome: "refused", reason: "gap", dot: dotOf(encoded), message };
    });
  start();
  writeSmall(berlin, "a");
  await clock.advance(60_000);
  expect(paris.asked.length).toBeLessThan(60);
  await stop();
});
