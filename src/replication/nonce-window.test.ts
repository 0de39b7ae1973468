import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { NonceWindow } from "./nonce-window.ts";

const WINDOW_MS = 1000;

describe("the memory of what was signed", () => {
  test("[S60] never takes a message twice, however small it is", () => {
    const messages = fc.array(
      fc.record({ nonce: fc.nat(30).map(String), dateMs: fc.nat(3000), passMs: fc.nat(300) }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(messages, fc.integer({ min: 1, max: 8 }), (list, noncesMax) => {
        const window = new NonceWindow({ windowMs: WINDOW_MS, noncesMax });
        const taken = new Set<string>();
        let nowMs = 0;
        for (const { nonce, dateMs, passMs } of list) {
          nowMs += passMs;
          const message = `${nonce} ${dateMs}`;
          const verdict = window.judge("key", { nonce: message, dateMs }, nowMs);
          if (verdict !== "fresh") continue;
          expect(taken.has(message)).toBe(false);
          expect(Math.abs(dateMs - nowMs)).toBeLessThanOrEqual(WINDOW_MS);
          taken.add(message);
        }
      }),
    );
  });

  test("takes everything that comes in order, for ever, and keeps keys apart", () => {
    const window = new NonceWindow({ windowMs: WINDOW_MS, noncesMax: 16 });
    for (let at = 0; at < 500; at++) {
      for (const key of ["one", "other"]) {
        expect(window.judge(key, { nonce: `${at}`, dateMs: at * 10 }, at * 10)).toBe("fresh");
      }
    }
    expect(window.judge("one", { nonce: "499", dateMs: 4990 }, 4990)).toBe("replayed");
  });

  test("refuses by the date what it may have forgotten", () => {
    const window = new NonceWindow({ windowMs: WINDOW_MS, noncesMax: 4 });
    for (let at = 1; at <= 5; at++) window.judge("key", { nonce: `${at}`, dateMs: at * 10 }, 50);
    expect(window.judge("key", { nonce: "1", dateMs: 10 }, 50)).toBe("replayed");
    expect(window.judge("key", { nonce: "new", dateMs: 45 }, 50)).toBe("fresh");
    expect(window.judge("key", { nonce: "late", dateMs: 50 }, 50 + WINDOW_MS + 1)).toBe("clock");
  });
});
