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

test("long patterns fit as short ones do", () => {
  const letter = fc.constantFrom("a", "a", "a", "b", "?");
  const part = fc.string({ unit: letter, maxLength: 90 });
  const plain = fc.string({ unit: fc.constantFrom("a", "a", "a", "a", "b"), maxLength: 60 });
  fc.assert(
    fc.property(part, part, fc.array(plain, { maxLength: 20 }), fc.nat(), (one, two, more, at) => {
      const text = `${more.join("")}${one.replaceAll("?", "b")}${more.join("")}`;
      const cut = `${text.slice(0, at % text.length)}b${text}`;
      const source = `^.*${one.replaceAll("?", ".")}.*${two.replaceAll("?", ".")}.*$`;
      for (const given of [text, cut]) {
        expect(fits(patternOf(`*${one}*${two}*`), given)).toBe(new RegExp(source).test(given));
      }
    }),
    { numRuns: 500 },
  );
});

test.each([
  `*${"a".repeat(9000)}b`,
  `*${"a".repeat(9000)}b*`,
  `*${"a".repeat(4500)}?${"a".repeat(4500)}b*`,
  `${"*a".repeat(4500)}b`,
])("[N29] a text is read but once for a long pattern", (pattern) => {
  let reads = 0;
  const text = "a".repeat(30_000);
  const counted = {
    length: text.length,
    charCodeAt: (index: number) => {
      reads += 1;
      return text.charCodeAt(index);
    },
  };
  expect(fits(patternOf(pattern), counted as unknown as string)).toBe(false);
  expect(reads).toBeLessThan(2 * text.length);
});

test("a pattern full of stars cannot make matching explode", () => {
  expect(fits(patternOf(`${"*a".repeat(500)}b`), "a".repeat(1024))).toBe(false);
});
