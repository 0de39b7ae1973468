import { expect, test } from "vitest";
import { headersOf } from "../../../test/support/headers.ts";
import { fc } from "../../../test/support/properties.ts";
import { formatAmzDate, headerTime, parseAmzDate } from "./request-time.ts";

test("every whole second survives being written and read", () => {
  const second = fc.integer({ min: 0, max: 4_000_000_000 });
  fc.assert(
    fc.property(second, (unixSeconds) => {
      const text = formatAmzDate(unixSeconds * 1000);
      expect(parseAmzDate(text)).toEqual({ text, unixMs: unixSeconds * 1000 });
    }),
  );
});

test.each([
  "",
  "20261121",
  "20261121T093000",
  "20261121T093000z",
  "20261121 093000Z",
  "2026-11-21T09:30:00Z",
  "20261121T0930000Z",
  "20260231T000000Z",
  "20260001T000000Z",
  "20261301T000000Z",
  "20261121T240000Z",
  "20261121T096000Z",
  "2026112１T093000Z",
  "+2261121T093000Z",
])("%j is no date", (text) => {
  expect(parseAmzDate(text)).toBeUndefined();
});

test.each([
  "Fri, 24 May 2013 00:00:00 GMT",
  "Fri, 24 May 2013 00:00:00 +0000",
  "Fri, 24 May 2013 00:00:00 -0000",
  "20130524T000000Z",
])("the Date header %j stands in when X-Amz-Date is absent", (date) => {
  const expected = { text: "20130524T000000Z", unixMs: Date.UTC(2013, 4, 24) };
  expect(headerTime(headersOf([["date", date]]))).toEqual(expected);
});

test.each([
  [],
  [["date", "yesterday"]],
  [["date", "Fri, 99 May 2013 00:00:00 GMT"]],
  [["date", "Fri, 24 May 2013 02:00:00 +0200"]],
  [
    ["date", "Fri, 24 May 2013 00:00:00 GMT"],
    ["x-amz-date", "nonsense"],
  ],
  [
    ["x-amz-date", "20130524T000000Z"],
    ["x-amz-date", "20130524T000000Z"],
  ],
] as ReadonlyArray<ReadonlyArray<readonly [string, string]>>)(
  "a request without one valid date is refused (case %#)",
  (...lines) => {
    expect(() => headerTime(headersOf(lines))).toThrow("requires a valid Date or x-amz-date");
  },
);
