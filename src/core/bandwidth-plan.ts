/** Hours of each day, UTC, in minutes from midnight; `untilMinute` is the first beyond them. */
export type DailyHours = { readonly fromMinute: number; readonly untilMinute: number };

/** A bound for some hours of the day; undefined bytes are no bound, undefined hours are all. */
export type BandwidthRule = {
  readonly bytesPerSecond: number | undefined;
  readonly hours: DailyHours | undefined;
};

/** The first rule whose hours it is counts; where there is none, nothing is bound. */
export type BandwidthPlan = readonly BandwidthRule[];

const DAY_MINUTES = 24 * 60;
const MINUTE_MS = 60_000;

/** Reads `08:00-18:00` or `22-6`; undefined when it is no stretch of a day. */
export function parseDailyHours(text: string): DailyHours | undefined {
  const [from, until, more] = text.split("-").map(minuteOf);
  if (from === undefined || until === undefined || more !== undefined) return undefined;
  if (from === until || from === DAY_MINUTES) return undefined;
  return { fromMinute: from, untilMinute: until };
}

function minuteOf(text: string): number | undefined {
  const found = /^(\d{1,2})(?::(\d{2}))?$/.exec(text.trim());
  const [hour, minute] = [Number(found?.[1]), Number(found?.[2] ?? 0)];
  if (found === null || hour > 24 || minute > 59) return undefined;
  const minutes = hour * 60 + minute;
  return minutes > DAY_MINUTES ? undefined : minutes;
}

/** What a plan allows at a moment in Unix milliseconds; undefined is no bound. */
export function rateAt(plan: BandwidthPlan, atMs: number): number | undefined {
  const minute = Math.floor(atMs / MINUTE_MS) % DAY_MINUTES;
  return plan.find(({ hours }) => hours === undefined || isWithin(hours, minute))?.bytesPerSecond;
}

function isWithin({ fromMinute, untilMinute }: DailyHours, minute: number): boolean {
  return fromMinute < untilMinute
    ? minute >= fromMinute && minute < untilMinute
    : minute >= fromMinute || minute < untilMinute;
}
