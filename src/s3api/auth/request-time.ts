import { LIMITS } from "../../core/limits.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";

/** When a client says it signed. */
export type RequestTime = {
  /** "20251121T093000Z", as it stands in the text that is signed. */
  readonly text: string;
  readonly unixMs: number;
};

const DIGITS_AT = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14] as const;
const ZERO = 0x30;

/** Reads ISO 8601 in its basic form, whole seconds, UTC; undefined when it is anything else. */
export function parseAmzDate(text: string): RequestTime | undefined {
  if (text.length !== 16 || text[8] !== "T" || text[15] !== "Z") return undefined;
  for (const at of DIGITS_AT) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
  }
  const month = pairAt(text, 4);
  const day = pairAt(text, 6);
  const hour = pairAt(text, 9);
  const minute = pairAt(text, 11);
  const second = pairAt(text, 13);
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const year = pairAt(text, 0) * 100 + pairAt(text, 2);
  const unixMs = Date.UTC(year, month - 1, day, hour, minute, second);
  if (month < 1 || month > 12 || day < 1) return undefined;
  // Day 31 of a short month would roll into the next one.
  if (day > 28 && new Date(unixMs).getUTCDate() !== day) return undefined;
  return { text, unixMs };
}

function pairAt(text: string, at: number): number {
  return (text.charCodeAt(at) - ZERO) * 10 + (text.charCodeAt(at + 1) - ZERO);
}

/** The basic form of a moment, cut to whole seconds. */
export function formatAmzDate(unixMs: number): string {
  return new Date(unixMs).toISOString().replace(/\.\d{3}|[-:]/g, "");
}

/** The time of a request signed in its headers: X-Amz-Date, else Date. */
export function headerTime(headers: RequestHeaders): RequestTime {
  const amzDate = headers.get("x-amz-date");
  const time = amzDate === undefined ? dateHeader(headers.get("date")) : parseAmzDate(amzDate);
  if (time !== undefined) return time;
  throw new S3Error("AccessDenied", {
    message: "AWS authentication requires a valid Date or x-amz-date header",
  });
}

/** Besides HTTP's own form, those of e-mail that are UTC: botocore writes `-0000`. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?:GMT|[+-]0000)$/;

function dateHeader(value: string | undefined): RequestTime | undefined {
  if (value === undefined) return undefined;
  if (!HTTP_DATE.test(value)) return parseAmzDate(value);
  const unixMs = Date.parse(value);
  return Number.isNaN(unixMs) ? undefined : { text: formatAmzDate(unixMs), unixMs };
}

/** Refuses a time more than 15 minutes from ours, either way. */
export function requireRecent(time: RequestTime, nowMs: number): void {
  if (Math.abs(nowMs - time.unixMs) <= LIMITS.requestSkewMsMax) return;
  throw new S3Error("RequestTimeTooSkewed", {
    fields: {
      RequestTime: time.text,
      ServerTime: new Date(nowMs).toISOString(),
      MaxAllowedSkewMilliseconds: String(LIMITS.requestSkewMsMax),
    },
  });
}
