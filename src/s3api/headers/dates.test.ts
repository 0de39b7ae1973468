import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { formatHttpDate, formatIsoDate, parseHttpDate, writeIsoDate } from "./dates.ts";

test("every second reads back from its HTTP date", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 7_258_118_399 }), (seconds) => {
      expect(parseHttpDate(formatHttpDate(seconds * 1000))).toBe(seconds * 1000);
    }),
  );
});

test("every millisecond reads back from its ISO date", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 7_258_118_399_999 }), (unixMs) => {
      expect(parseHttpDate(formatIsoDate(unixMs))).toBe(unixMs);
    }),
  );
});

test.each([
  ["Sun, 06 Nov 1994 08:49:37 GMT"],
  ["Sunday, 06-Nov-94 08:49:37 GMT"],
  ["Sun Nov  6 08:49:37 1994"],
])("the form %s of RFC 9110 is read", (text) => {
  expect(parseHttpDate(text)).toBe(784_111_777_000);
});

test.each([
  [""],
  ["yesterday"],
  ["Sun, 06 Nox 1994 08:49:37 GMT"],
  ["Sun, 31 Feb 1994 08:49:37 GMT"],
  ["Sun, 06 Nov 1994 24:49:37 GMT"],
  ["Sun, 06 Nov 1994 08:49:37 CET"],
  ["2026-13-01T00:00:00Z"],
])("%s is no date", (text) => {
  expect(parseHttpDate(text)).toBeUndefined();
});

test("dates are written as JavaScript itself would, in any order of asking", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 7_258_118_399_999 })), (times) => {
      for (const unixMs of times) {
        expect(formatIsoDate(unixMs)).toBe(new Date(unixMs).toISOString());
        expect(formatHttpDate(unixMs)).toBe(new Date(unixMs).toUTCString());
        const bytes = Buffer.alloc(26, "-");
        writeIsoDate(bytes, 1, unixMs);
        expect(bytes.toString("latin1")).toBe(`-${new Date(unixMs).toISOString()}-`);
      }
    }),
  );
});
