import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { parseIsoDate } from "./iso-date.ts";

test.each([
  ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"],
  ["2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z"],
  ["2026-01-02T03:04:05.123999999Z", "2026-01-02T03:04:05.123Z"],
  ["2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000Z"],
  ["2026-01-02T03:04:05-0530", "2026-01-02T08:34:05.000Z"],
  ["2026-01-02", "2026-01-02T00:00:00.000Z"],
  ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
  ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
])("%s is %s", (text, date) => {
  expect(parseIsoDate(text)).toBe(Date.parse(date));
});

test.each([
  ["", "nothing"],
  ["2026-1-2T03:04:05Z", "single digits"],
  ["2026-01-02T03:04:05", "no zone"],
  ["2026-01-02T03:04Z", "no seconds"],
  ["2026-01-02 03:04:05Z", "a space"],
  ["2026-02-29T00:00:00Z", "a day too many"],
  ["2026-13-01T00:00:00Z", "a month too many"],
  ["2026-00-01", "no month"],
  ["2026-01-02T24:00:00Z", "hour 24"],
  ["2026-01-02T00:60:00Z", "minute 60"],
  ["2026-01-02T00:00:00+24:00", "a zone beyond a day"],
  ["2026-01-02T00:00:00Z ", "something behind it"],
  ["+02026-01-02T00:00:00Z", "a long year"],
  ["20260102T000000Z", "the basic form"],
  ["1767312000", "seconds"],
])("%j is no date: %s", (text) => {
  expect(parseIsoDate(text)).toBeUndefined();
});

test("every millisecond of four-digit years is read from what JavaScript writes", () => {
  fc.assert(
    fc.property(fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }), (unixMs) => {
      expect(parseIsoDate(new Date(unixMs).toISOString())).toBe(unixMs);
    }),
  );
});
