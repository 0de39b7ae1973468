import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { parseDailyHours, rateAt } from "./bandwidth-plan.ts";

/** A moment of some day, in Unix milliseconds. */
function at(time: string): number {
  return Date.parse(`2026-11-21T${time}:00Z`);
}

test.each([
  ["08:00-18:00", 480, 1080],
  ["22-6", 1320, 360],
  ["0-24", 0, 1440],
  ["9:30 - 9:31", 570, 571],
])("%s is a stretch of a day", (text, fromMinute, untilMinute) => {
  expect(parseDailyHours(text)).toEqual({ fromMinute, untilMinute });
});

test.each(["", "8", "8-8", "25-3", "24-3", "8:60-9", "8-24:01", "8-9-10", "a-b", "8:0-9", "-8-9"])(
  "%j is none",
  (text) => {
    expect(parseDailyHours(text)).toBeUndefined();
  },
);

test("the first rule whose hours it is counts, and beyond all of them nothing is bound", () => {
  const plan = [
    { bytesPerSecond: 1, hours: parseDailyHours("12-13") },
    { bytesPerSecond: 2, hours: parseDailyHours("8-18") },
    { bytesPerSecond: undefined, hours: parseDailyHours("22-6") },
  ];
  const times = ["07:59", "08:00", "11:59", "12:00", "12:59", "13:00", "17:59", "18:00", "23:00"];
  expect(times.map((time) => rateAt(plan, at(time)))).toEqual([
    ...[undefined, 2, 2, 1, 1, 2, 2, undefined, undefined],
  ]);
  const bound = [...plan, { bytesPerSecond: 3, hours: undefined }];
  const night = ["18:00", "21:59", "22:00", "00:00", "05:59", "06:00"];
  expect(night.map((time) => rateAt(bound, at(time)))).toEqual([
    ...[3, 3, undefined, undefined, undefined, 3],
  ]);
  expect(rateAt([], at("12:00"))).toBeUndefined();
});

test("hours and the hours around them are a whole day", () => {
  const minute = fc.integer({ min: 0, max: 1439 });
  fc.assert(
    fc.property(minute, minute, minute, (fromMinute, untilMinute, now) => {
      fc.pre(fromMinute !== untilMinute);
      const inside = [{ bytesPerSecond: 1, hours: { fromMinute, untilMinute } }];
      const around = [
        { bytesPerSecond: 1, hours: { fromMinute: untilMinute, untilMinute: fromMinute } },
      ];
      const rates = [rateAt(inside, now * 60_000), rateAt(around, now * 60_000)];
      expect(rates.filter((rate) => rate === 1)).toHaveLength(1);
    }),
  );
});
