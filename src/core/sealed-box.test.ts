import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { makeBoxKeyPair, openBox, sealBox } from "./sealed-box.ts";

const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });
const bytes = fc.uint8Array({ maxLength: 200 });

describe("a sealed box", () => {
  test("is opened by whom it is for, in its context, and by nobody else", () => {
    fc.assert(
      fc.property(seeds, seeds, seeds, bytes, (own, other, once, secret) => {
        const recipient = makeBoxKeyPair(own);
        const box = sealBox(recipient.publicKey, secret, "ring", once) ?? new Uint8Array(0);
        expect(openBox(recipient, box, "ring")?.equals(Buffer.from(secret))).toBe(true);
        expect(openBox(recipient, box, "other")).toBeUndefined();
        const stranger = makeBoxKeyPair(other);
        if (stranger.publicKey === recipient.publicKey) return;
        expect(openBox(stranger, box, "ring")).toBeUndefined();
      }),
    );
  });

  test("is not opened after any change, and damage is no exception", () => {
    const recipient = makeBoxKeyPair(Buffer.alloc(32, 1));
    const box = sealBox(recipient.publicKey, Buffer.from("the ring"), "ring", Buffer.alloc(32, 2));
    const whole = Buffer.from(box ?? new Uint8Array(0));
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const changed = Buffer.from(whole);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      // The topmost bit of a public key means nothing (RFC 7748); the names hold it all the same.
      expect(openBox(recipient, changed, "ring"), `bit ${bit}`).toBeUndefined();
    }
    for (let end = 0; end < whole.length; end++) {
      expect(openBox(recipient, whole.subarray(0, end), "ring")).toBeUndefined();
    }
  });

  test.each(["", "zz".repeat(32), "00".repeat(32), "01".padEnd(64, "0")])(
    "is not sealed to %s, which is no key that keeps a secret",
    (key) => {
      expect(sealBox(key, Buffer.from("x"), "ring", Buffer.alloc(32, 2))).toBeUndefined();
    },
  );
});
