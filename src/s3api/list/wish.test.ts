import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { EMPTY_QUERY, parseQuery } from "../target.ts";
import { encodeName, readEncoding, readMax } from "./wish.ts";

test.each([
  ["", 1000],
  ["max-keys=", 1000],
  ["max-keys=0", 0],
  ["max-keys=7", 7],
  ["max-keys=1001", 1000],
  ["max-keys=2147483647", 1000],
])("%s asks for %i keys", (query, expected) => {
  expect(readMax(parseQuery(query), "max-keys")).toBe(expected);
});

test.each([["-1"], ["1.5"], ["ten"], ["2147483648"], ["0x10"], ["+1"]])(
  "%s is no number of keys",
  (text) => {
    expect(() => readMax(parseQuery(`max-keys=${encodeURIComponent(text)}`), "max-keys")).toThrow(
      expect.objectContaining({ code: "InvalidArgument" }),
    );
  },
);

test("encoded names decode to what they were and hold nothing XML minds", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 30 }), (name) => {
      const encoded = encodeName(name);
      expect(decodeURIComponent(encoded)).toBe(name);
      expect(encoded).toMatch(/^[A-Za-z0-9%/._~*-]*$/);
    }),
  );
});

test("only the url encoding exists", () => {
  expect(readEncoding(EMPTY_QUERY).encode("a b")).toBe("a b");
  expect(readEncoding(parseQuery("encoding-type=url")).encode("a b(1).png/é")).toBe(
    "a%20b%281%29.png/%C3%A9",
  );
  expect(() => readEncoding(parseQuery("encoding-type=rot13"))).toThrow(
    expect.objectContaining({ code: "InvalidArgument" }),
  );
});
