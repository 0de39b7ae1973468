import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { printable } from "./printable.ts";

test("what a terminal would obey is written out, and what people read stays", () => {
  expect(printable("\u001b]0;title\u0007")).toBe("\\u001b]0;title\\u0007");
  expect(printable("\u009b31m \u007f \u202etxt.exe")).toBe("\\u009b31m \\u007f \\u202etxt.exe");
  expect(printable("two\nlines\tand a tab")).toBe("two\nlines\tand a tab");
  expect(printable("für 日本語 \u{1f600} e\u0301 €")).toBe("für 日本語 \u{1f600} e\u0301 €");
  expect(printable("\u{e0041}")).toBe("\\udb40\\udc41");
});

test("a text in JSON stays the text that it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(JSON.parse(printable(JSON.stringify(text)))).toBe(text);
    }),
  );
});
