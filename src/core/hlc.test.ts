import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { HlcClock, hlcFromMs, hlcMs } from "./hlc.ts";

test("[S65] what replaces or deletes a thing is later than it, whatever the wall clock does", () => {
  const moves = fc.array(fc.tuple(fc.integer({ min: -5000, max: 5000 }), fc.boolean()));
  fc.assert(
    fc.property(moves, (steps) => {
      let nowMs = 1_000_000;
      const clock = new HlcClock(() => nowMs);
      let before = clock.last;
      for (const [move, isFromElsewhere] of steps) {
        nowMs = Math.max(0, nowMs + move);
        // A write of another site may be ahead of this wall clock.
        if (isFromElsewhere) before = hlcFromMs(nowMs + 3000);
        const next = clock.next(before);
        expect(next > before).toBe(true);
        before = next;
      }
    }),
  );
});

test("a reading follows the wall clock while that goes on", () => {
  let nowMs = 5000;
  const clock = new HlcClock(() => nowMs);
  expect(hlcMs(clock.next())).toBe(5000);
  nowMs = 6000;
  expect(hlcMs(clock.next())).toBe(6000);
});
