import { expect, test } from "vitest";
import { openTwins, writeSmall } from "../../test/support/replication-twins.ts";
import { parseOriginId, parseSeq } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import type { LogicalRows } from "../storage/logical-rows.ts";
import type { Replica } from "../storage/replica.ts";
import { heldLogs } from "./held-logs.ts";

const [OURS, THEIRS, BOTH] = ["a", "b", "c"].map((digit) =>
  required(parseOriginId(digit.repeat(16)), "origin"),
);

function seqs(...all: ReadonlyArray<readonly [typeof OURS, number]>) {
  return all.map(([origin, seq]) => ({ origin, seq: required(parseSeq(seq), "sequence") }));
}

test("a site that merges rows goes on with the logs that it has as far as these do", () => {
  const known = seqs([OURS, 9], [BOTH, 5]);
  const received = () => new Map(known.map((head) => [head.origin, head]));
  const replica = { received } as unknown as Pick<Replica, "received">;
  const heads = seqs([OURS, 9], [BOTH, 6], [THEIRS, 1]);
  const held = (holdsLogs: boolean, bootstrap?: object) => {
    const rows = { bootstrap: () => bootstrap } as unknown as Pick<LogicalRows, "bootstrap">;
    return heldLogs({ holdsLogs }, rows, replica);
  };
  expect(held(false)).toBeUndefined();
  expect(held(true)).toBe("all");
  expect(held(true, { heads })).toBe("all");
  expect(held(true, { heads, merges: true })).toEqual(new Set([BOTH, THEIRS]));
});

test("operations of logs that wait are not taken, whoever brings them, and those of others are", async () => {
  const { clock, site, start, stop, world } = await openTwins(["berlin", "oslo", "paris"]);
  const [berlin, oslo, paris] = [site("berlin"), site("oslo"), site("paris")];
  start();
  await clock.advance(1000);
  world.held = new Set([berlin.owner.origin]);
  world.takingOver = "paris";
  writeSmall(berlin, "held");
  writeSmall(oslo, "goes on");
  await clock.advance(60_000);
  expect([...paris.replica.applied()]).toEqual([[oslo.owner.origin, 1]]);
  world.takingOver = undefined;
  await clock.advance(60_000);
  expect(paris.replica.applied().get(berlin.owner.origin)).toBe(1);
  await stop();
});

test("what was asked for before rows were taken over, and comes then, is asked for again later", async () => {
  const { clock, site, start, stop, world } = await openTwins(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  start();
  // Paris waits there for news.
  await clock.advance(1000);
  world.takingOver = "paris";
  writeSmall(berlin, "news");
  await clock.advance(60_000);
  expect([...paris.replica.applied()]).toEqual([]);
  world.takingOver = undefined;
  await clock.advance(60_000);
  expect([...paris.replica.applied()]).toEqual([[berlin.owner.origin, 1]]);
  await stop();
});

test("while everything waits, each peer is still asked how it stands, and for no operation", async () => {
  const { clock, site, start, stop, world } = await openTwins(["berlin", "oslo", "paris"]);
  const [berlin, oslo, paris] = [site("berlin"), site("oslo"), site("paris")];
  world.takingOver = "paris";
  for (let count = 0; count < 50; count++) writeSmall(berlin, `news ${count}`, "x".repeat(500));
  let answered = 0;
  let bytes = 0;
  world.meddle = async (_to, { path, body }, deliver) => {
    const answer = await deliver();
    if (path !== "/v1/repl/pull" || !body?.toString().includes(paris.owner.origin)) return answer;
    answered += 1;
    bytes += answer.body.length;
    return answer;
  };
  start();
  await clock.advance(59_000);
  // Both clocks are witnesses of its own, and both say that they know no more of its log.
  expect(paris.watch.skews()).toEqual([0, 0]);
  await paris.replication.vouched();
  expect([...paris.replica.applied()]).toEqual([]);
  const pulls = paris.asked.filter(({ path }) => path === "/v1/repl/pull");
  expect(pulls.map(({ to }) => to).sort()).toEqual([
    ...Array(4).fill(berlin.member.name),
    ...Array(4).fill(oslo.member.name),
  ]);
  expect(answered).toBeGreaterThanOrEqual(8);
  expect(bytes / answered).toBeLessThan(2000);
  await stop();
});
