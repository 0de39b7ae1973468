import { createHash, createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { equalsInConstantTime, HmacKey, sha256, sha256Hex } from "./hmac.ts";

test("codes are those of node:crypto for any key and any message", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.string({ unit: "binary", maxLength: 2000 }), { minLength: 1, maxLength: 3 }),
      (secret, messages) => {
        const key = new HmacKey(secret);
        for (const message of messages) {
          const expected = createHmac("sha256", secret).update(message, "utf8").digest("hex");
          expect(key.hex(message)).toBe(expected);
          expect(key.bytes(message).toString("hex")).toBe(expected);
        }
      },
    ),
  );
});

test("a key given as text is its UTF-8 bytes", () => {
  const expected = createHmac("sha256", "clé").update("message").digest("hex");
  expect(new HmacKey("clé").hex("message")).toBe(expected);
});

test("digests of text and of its bytes agree with node:crypto", () => {
  const expected = createHash("sha256").update("grüße").digest("hex");
  expect(sha256Hex("grüße")).toBe(expected);
  expect(sha256(Buffer.from("grüße")).toString("hex")).toBe(expected);
});

test("texts are equal only when every character and the length are", () => {
  expect(equalsInConstantTime("abc", "abc")).toBe(true);
  expect(equalsInConstantTime("abc", "abd")).toBe(false);
  expect(equalsInConstantTime("abc", "abcd")).toBe(false);
  expect(equalsInConstantTime("", "")).toBe(true);
  // Same number of UTF-16 units, different number of bytes: must refuse, not throw.
  expect(equalsInConstantTime("abc", "abé")).toBe(false);
});
