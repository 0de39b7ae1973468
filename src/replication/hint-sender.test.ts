import { expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { type Hole, type Holes, NO_HOLES } from "../core/applied-set.ts";
import { type OriginId, parseOriginId, parseSeq, parseSiteId } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import { HintSender } from "./hint-sender.ts";

const PARIS = required(parseSiteId("b".repeat(16)), "site");
const OWN = required(parseOriginId("a".repeat(16)), "origin");
const OTHER = required(parseOriginId("c".repeat(16)), "origin");

/** A site with one peer; what it has is set by the test. */
function openSender(isAwaited: boolean) {
  const clock = new SimClock();
  const sent: Array<{ received: string; applied: string }> = [];
  const seqs = new Map<OriginId, number>();
  let holes: Holes = NO_HOLES;
  const has = (origin: OriginId, value: number) => seqs.set(origin, value);
  const vector = () =>
    new Map([...seqs].map(([origin, value]) => [origin, required(parseSeq(value), "seq")]));
  const hints = new HintSender({
    clock,
    replica: {
      ...{ origin: OWN, applied: vector, holes: () => holes },
      received: () =>
        new Map(
          [...vector()].map(([origin, seq]) => {
            return [origin, { origin, seq, chain: Buffer.alloc(32), hlc: 0n as never }];
          }),
        ),
    },
    peers: () => [
      {
        site: PARIS,
        hint: async ({ received, applied }) => {
          sent.push({ received: `${[...received.values()]}`, applied: `${[...applied.values()]}` });
        },
      },
    ],
    isAwaitedBy: () => isAwaited,
  });
  const waits = (now: Holes): void => {
    holes = now;
  };
  return { clock, hints, sent, has, vector, waits };
}

test("a peer that does not wait here is told of news once, however many commits there are", async () => {
  const { clock, hints, sent, has } = openSender(false);
  for (let seq = 1; seq <= 5; seq++) {
    has(OWN, seq);
    hints.committed();
  }
  await clock.advance(10_000);
  expect(sent).toEqual([{ received: "5", applied: "5" }]);
});

test("a peer that waits here is told only what was applied of others", async () => {
  const { clock, hints, sent, has } = openSender(true);
  has(OWN, 1);
  hints.committed();
  await clock.advance(10_000);
  expect(sent).toEqual([]);
  has(OTHER, 7);
  hints.committed();
  await clock.advance(10_000);
  expect(sent.map(({ applied }) => applied)).toEqual(["1,7"]);
});

test("a peer is told when something arrives behind what still waits for its bytes", async () => {
  const { clock, hints, sent, has, waits } = openSender(true);
  has(OTHER, 4);
  const [upTo, first, last] = [9, 5, 7].map((value) => required(parseSeq(value), "seq"));
  if (upTo === undefined || first === undefined || last === undefined) throw new Error("three");
  const commit = async (ranges: Hole["ranges"]): Promise<void> => {
    waits(ranges.length === 0 ? NO_HOLES : new Map([[OTHER, { upTo, ranges }]]));
    hints.committed();
    await clock.advance(10_000);
  };
  await commit([[first, last]]);
  expect(sent.length).toBe(1);
  await commit([[first, last]]);
  expect(sent.length).toBe(1);
  await commit([[first, first]]);
  expect(sent.length).toBe(2);
  await commit([]);
  expect(sent.length).toBe(3);
});

test("a peer that was answered a moment ago is told only when it does not come back", async () => {
  const { clock, hints, sent, has, vector } = openSender(false);
  has(OWN, 1);
  hints.told(PARIS, { received: vector(), applied: vector(), holes: NO_HOLES });
  has(OWN, 2);
  hints.committed();
  await clock.advance(900);
  expect(sent).toEqual([]);
  await clock.advance(200);
  expect(sent.length).toBe(1);
});

test("a sender that was stopped says nothing, and leaves no timer", async () => {
  const { clock, hints, sent, has } = openSender(false);
  has(OWN, 1);
  hints.committed();
  hints.stop();
  hints.committed();
  await clock.advance(1000);
  expect([sent.length, clock.pendingTimers]).toEqual([0, 0]);
});
