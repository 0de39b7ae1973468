import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import type { ResponseHeaders } from "./exchange.ts";
import { headerBlock, isBodyless, statusText, writeHeaders } from "./response-headers.ts";

function written(headers: ResponseHeaders): string[] {
  const lines: string[] = [];
  writeHeaders(headers, (name, value) => lines.push(`${name}: ${value}`));
  return lines;
}

test("hands on names and values as they are, repeated ones too", () => {
  const headers = [
    ["etag", '"a"'],
    ["vary", "origin"],
    ["vary", "caf\u00e9\ttab"],
  ] as const;
  expect(written(headers)).toEqual(['etag: "a"', "vary: origin", "vary: caf\u00e9\ttab"]);
});

test("leaves out what belongs to the engine, and names that are no token", () => {
  const names = ["content-length", "Content-Length", "transfer-encoding", "connection", "date"];
  const bad = ["", "a b", "a:", "a\r\nb", "caf\u00e9"];
  expect(written([...names, ...bad].map((name) => [name, "1"]))).toEqual([]);
});

test("whatever the name and value, each header stays one line", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (name, value) => {
      for (const line of written([
        [name, value],
        ["x", `${value}\r\n${name}\0`],
      ])) {
        for (const char of line) {
          const code = char.codePointAt(0) ?? 0;
          expect(code === 9 || (code >= 32 && code !== 127)).toBe(true);
        }
      }
    }),
  );
});

test("one block holds the same lines, and nothing that could end the header", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text)), (headers) => {
      const block = headerBlock([["first", "1"], ...headers]);
      expect(`${block?.name}: ${block?.rest}`.split("\r\n")).toEqual([
        "first: 1",
        ...written(headers),
      ]);
    }),
  );
  expect(headerBlock([])).toBeUndefined();
});

test("knows the words of a status, and makes do without", () => {
  expect(statusText(404)).toBe("404 Not Found");
  expect(statusText(299)).toBe("299 Status");
  expect([204, 304, 200].map(isBodyless)).toEqual([true, true, false]);
});
