import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { decodePercent, parseQuery, splitTarget } from "./target.ts";

test("any text reads back from its percent-encoded form, once", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 30 }), (text) => {
      expect(decodePercent(encodeURIComponent(text))).toBe(text);
    }),
  );
  expect(decodePercent("%2525")).toBe("%25");
});

test.each([["%"], ["%2"], ["%zz"], ["%ff"], ["%c0%af"], ["%ed%a0%80"]])(
  "%s does not decode",
  (text) => {
    expect(decodePercent(text)).toBeUndefined();
  },
);

test("a query is read in order, with plus as a space and missing values empty", () => {
  const query = parseQuery("uploads&prefix=a+b%2Bc&&empty=");
  expect(query.entries).toEqual([
    ["uploads", ""],
    ["prefix", "a b+c"],
    ["empty", ""],
  ]);
  expect(query.has("uploads")).toBe(true);
  expect(query.get("constructor")).toBeUndefined();
});

test("a parameter that comes twice is refused", () => {
  expect(() => parseQuery("prefix=a&prefix=b")).toThrow(
    expect.objectContaining({ code: "InvalidArgument" }),
  );
  expect(() => parseQuery("prefix=a&pre%66ix=b")).toThrow(
    expect.objectContaining({ code: "InvalidArgument" }),
  );
});

test("only the first question mark begins the query", () => {
  const { path, query } = splitTarget("/b/k%3F?a=b?c");
  expect(path).toBe("/b/k%3F");
  expect(query.get("a")).toBe("b?c");
});

test.each([[""], ["*"], ["b/k"], ["http://host/b/k"], ["/b/é"], ["/b/a b"], ["/b/a\u0001"]])(
  "the target %j is refused",
  (target) => {
    expect(() => splitTarget(target)).toThrow(expect.objectContaining({ code: "InvalidURI" }));
  },
);
