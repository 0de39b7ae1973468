/** YYYY-MM-DD, or with a time that has seconds at least and says where it stands to UTC. */
const DAY = /(\d{4})-(\d{2})-(\d{2})/;
const TIME = /T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:Z|([+-])(\d{2}):?(\d{2}))/;
const ISO_DATE = new RegExp(`^${DAY.source}(?:${TIME.source})?$`);

const MINUTE_MS = 60_000;

/**
 * Unix milliseconds of an ISO 8601 date, a day alone meaning its first moment in UTC; undefined
 * for anything else, days that no month has included. Fractions beyond milliseconds are cut.
 */
export function parseIsoDate(text: string): number | undefined {
  const found = ISO_DATE.exec(text);
  if (found === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found
    .slice(1, 7)
    .map((digits) => Number(digits ?? 0));
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const [fraction = "", sign = "+", hours = "00", minutes = "00"] = found.slice(7);
  if (Number(hours) > 23 || Number(minutes) > 59) return undefined;
  const local = new Date(0);
  local.setUTCFullYear(year, month - 1, day);
  if (local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day) return undefined;
  local.setUTCHours(hour, minute, second, Number(fraction.padEnd(3, "0").slice(0, 3)));
  const aheadMs = (Number(hours) * 60 + Number(minutes)) * MINUTE_MS;
  return local.getTime() - (sign === "-" ? -aheadMs : aheadMs);
}
