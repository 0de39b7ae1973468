const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";
/** Sun, 06 Nov 1994 08:49:37 GMT */
const IMF_FIXDATE = /^[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
/** Sunday, 06-Nov-94 08:49:37 GMT */
const RFC850 = /^[A-Z][a-z]+, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
/** Sun Nov  6 08:49:37 1994 */
const ASCTIME = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/;
const ISO = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/;

const DAY_MS = 86_400_000;
const SECOND_MS = 1000;

/** What was formatted last: many objects of one answer share a second, or a day. */
const lastHttp = { second: Number.NaN, text: "" };
const lastIso = { day: Number.NaN, text: "" };

/** `Last-Modified` and its like; whole seconds, rounded down. Hot path. */
export function formatHttpDate(unixMs: number): string {
  const second = Math.floor(unixMs / SECOND_MS);
  if (second !== lastHttp.second) {
    lastHttp.text = new Date(second * SECOND_MS).toUTCString();
    lastHttp.second = second;
  }
  return lastHttp.text;
}

/** Dates inside S3's XML, with milliseconds. Hot path. */
export function formatIsoDate(unixMs: number): string {
  const day = Math.floor(unixMs / DAY_MS);
  if (day !== lastIso.day) {
    lastIso.text = new Date(day * DAY_MS).toISOString().slice(0, 11);
    lastIso.day = day;
  }
  const rest = unixMs - day * DAY_MS;
  const seconds = Math.floor(rest / SECOND_MS);
  const minutes = Math.floor(seconds / 60);
  const clock = `${pad2(Math.floor(minutes / 60))}:${pad2(minutes % 60)}:${pad2(seconds % 60)}`;
  const fraction = Math.floor(rest) % SECOND_MS;
  const zeros = fraction < 10 ? "00" : fraction < 100 ? "0" : "";
  return `${lastIso.text}${clock}.${zeros}${fraction}Z`;
}

/** Characters of a date as `formatIsoDate` makes it. */
export const ISO_DATE_CHARS = "2026-11-21T12:00:00.000Z".length;
const DAY_CHARS = "2026-11-21T".length;
const DAYS_MAX = 1024;
/** `2026-11-21T` by day: a page may show objects of many. */
const isoDays = new Map<number, Uint8Array>();
const lastIsoDay: { day: number; text: Uint8Array } = { day: Number.NaN, text: Buffer.alloc(0) };
const ZERO = 0x30;

/** The same as bytes, with the character that `to` begins at; a year has four digits. Hot path. */
export function writeIsoDate(bytes: Uint8Array, to: number, unixMs: number): void {
  const day = Math.floor(unixMs / DAY_MS);
  if (day !== lastIsoDay.day) {
    lastIsoDay.text = isoDay(day);
    lastIsoDay.day = day;
  }
  const { text } = lastIsoDay;
  for (let at = 0; at < DAY_CHARS; at++) bytes[to + at] = text[at] as number;
  const rest = Math.floor(unixMs - day * DAY_MS);
  const seconds = (rest / SECOND_MS) | 0;
  const minutes = (seconds / 60) | 0;
  const hours = (minutes / 60) | 0;
  const fraction = rest - seconds * SECOND_MS;
  writePair(bytes, to + 11, hours);
  bytes[to + 13] = 0x3a;
  writePair(bytes, to + 14, minutes - hours * 60);
  bytes[to + 16] = 0x3a;
  writePair(bytes, to + 17, seconds - minutes * 60);
  bytes[to + 19] = 0x2e;
  const hundreds = (fraction / 100) | 0;
  bytes[to + 20] = ZERO + hundreds;
  writePair(bytes, to + 21, fraction - hundreds * 100);
  bytes[to + 23] = 0x5a;
}

function isoDay(day: number): Uint8Array {
  const known = isoDays.get(day);
  if (known !== undefined) return known;
  const made = Buffer.from(formatIsoDate(day * DAY_MS).slice(0, DAY_CHARS), "latin1");
  if (isoDays.size >= DAYS_MAX) isoDays.clear();
  isoDays.set(day, made);
  return made;
}

function writePair(bytes: Uint8Array, to: number, value: number): void {
  const tens = (value / 10) | 0;
  bytes[to] = ZERO + tens;
  bytes[to + 1] = ZERO + value - tens * 10;
}

function pad2(value: number): string {
  return value < 10 ? `0${value}` : `${value}`;
}

/**
 * Reads the three date forms RFC 9110 obliges a server to accept, and the ISO form some S3 clients
 * send; undefined for anything else, which a conditional header then ignores.
 */
export function parseHttpDate(text: string): number | undefined {
  const imf = IMF_FIXDATE.exec(text);
  if (imf !== null) return unixMsOf(imf[3], imf[2], imf[1], [imf[4], imf[5], imf[6]]);
  const asctime = ASCTIME.exec(text);
  if (asctime !== null) {
    return unixMsOf(asctime[6], asctime[1], asctime[2], [asctime[3], asctime[4], asctime[5]]);
  }
  const rfc850 = RFC850.exec(text);
  if (rfc850 !== null) {
    const short = Number(rfc850[3]);
    const year = String(short < 70 ? 2000 + short : 1900 + short);
    return unixMsOf(year, rfc850[2], rfc850[1], [rfc850[4], rfc850[5], rfc850[6]]);
  }
  return ISO.test(text) ? finite(Date.parse(text)) : undefined;
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

type Digits = string | undefined;

function unixMsOf(
  year: Digits,
  monthName: Digits,
  day: Digits,
  [hours, minutes, seconds]: readonly [Digits, Digits, Digits],
): number | undefined {
  const monthAt = MONTHS.indexOf(monthName ?? "?");
  if (monthAt < 0 || monthAt % 3 !== 0) return undefined;
  const [d, h, m, s] = [Number(day), Number(hours), Number(minutes), Number(seconds)];
  if (d < 1 || h > 23 || m > 59 || s > 60) return undefined;
  const unixMs = Date.UTC(Number(year), monthAt / 3, d, h, m, s);
  // A day the month does not have would have rolled over into the next one.
  return new Date(unixMs).getUTCMonth() === monthAt / 3 ? finite(unixMs) : undefined;
}
