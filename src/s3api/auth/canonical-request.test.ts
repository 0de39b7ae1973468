import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import {
  canonicalHeaderValue,
  canonicalPairs,
  canonicalPath,
  canonicalQuery,
} from "./canonical-request.ts";

/** AWS's rule written naively: encodeURIComponent and the five characters it leaves out. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

test.each([
  ["/", "/"],
  ["/bucket/a b", "/bucket/a%20b"],
  ["/bucket/a%20b", "/bucket/a%20b"],
  ["/bucket/a+b", "/bucket/a%2Bb"],
  ["/bucket/%c3%bc", "/bucket/%C3%BC"],
  ["/bucket/ü", "/bucket/%C3%BC"],
  ["/bucket/%7Euser/%41", "/bucket/~user/A"],
  ["/bucket/a%2Fb", "/bucket/a/b"],
  ["/bucket//a/./../b", "/bucket//a/./../b"],
  ["/bucket/%252F", "/bucket/%252F"],
  ["/bucket/%00%FF", "/bucket/%00%FF"],
])("the path %s is signed as %s", (raw, expected) => {
  expect(canonicalPath(raw)).toBe(expected);
});

test("any key, encoded by any client, is signed as AWS encodes it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.boolean(), (key, lower) => {
      const expected = encode(key).replaceAll("%2F", "/");
      const sent = lower ? expected.replace(/%../g, (code) => code.toLowerCase()) : expected;
      expect(canonicalPath(sent)).toBe(expected);
      expect(canonicalPath(encodeURIComponent(key))).toBe(expected);
    }),
  );
});

test("a query is signed in order of its encoded names and values", () => {
  const rawQuery = "prefix=b/c&delimiter=%2f&acl&a=2&a=1&&A=x+y&%C3%A9=1";
  expect(canonicalQuery(canonicalPairs(rawQuery))).toBe(
    "%C3%A9=1&A=x%20y&a=1&a=2&acl=&delimiter=%2F&prefix=b%2Fc",
  );
  expect(canonicalQuery(canonicalPairs("a=1&b=2"), "a")).toBe("b=2");
  expect(canonicalQuery(canonicalPairs(""))).toBe("");
});

test("any parameters are signed as a client that sorts encoded pairs signs them", () => {
  const pair = fc.tuple(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }));
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 6 }), (pairs) => {
      const encoded = pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`);
      const expected = pairs
        .map(([name, value]) => [encode(name), encode(value)] as const)
        .toSorted((one, two) => (one.join("\0") < two.join("\0") ? -1 : 1))
        .map((both) => both.join("="))
        .join("&");
      expect(canonicalQuery(canonicalPairs(encoded.join("&")))).toBe(expected);
    }),
  );
});

test.each(["/a%", "/a%2", "/a%zz", "/a%-1"])("a broken escape in %s is refused", (raw) => {
  expect(() => canonicalPath(raw)).toThrow("Couldn't parse the specified URI.");
  expect(() => canonicalPairs(raw)).toThrow("Couldn't parse the specified URI.");
});

test("runs of spaces inside a header value become one", () => {
  expect(canonicalHeaderValue("a   b  c d")).toBe("a b c d");
});
