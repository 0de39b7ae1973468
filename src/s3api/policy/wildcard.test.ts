import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { fits, literalOf, patternOf } from "./wildcard.ts";

test("patterns fit as the regular expressions they stand for", () => {
  const letter = fc.constantFrom("a", "b", "*", "?", "/", ".");
  const word = fc.string({ unit: letter, maxLength: 8 });
  const plain = fc.string({ unit: fc.constantFrom("a", "b", "/", "."), maxLength: 10 });
  fc.assert(
    fc.property(word, plain, (pattern, text) => {
      const source = pattern.replace(/[./]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
      expect(fits(patternOf(pattern), text)).toBe(new RegExp(`^${source}$`, "s").test(text));
    }),
    { numRuns: 2000 },
  );
});

test("a literal fits itself and nothing else, stars and all", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (left, right) => {
      expect(fits(literalOf(left), right)).toBe(left === right);
    }),
  );
  expect(fits(literalOf("*"), "anything")).toBe(false);
});

test("a pattern full of stars cannot make matching explode", () => {
  expect(fits(patternOf(`${"*a".repeat(500)}b`), "a".repeat(1024))).toBe(false);
});
