import type { LockMode } from "../../core/object-lock.ts";
import type { ObjectLock, Retention } from "../../core/object-lock-state.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";
import { formatIsoDate } from "./dates.ts";
import { parseIsoDate } from "./iso-date.ts";
import type { HeaderLines } from "./object-headers.ts";

const MODE = "x-amz-object-lock-mode";
const UNTIL = "x-amz-object-lock-retain-until-date";
const HOLD = "x-amz-object-lock-legal-hold";
const MODES: ReadonlyMap<string, LockMode> = new Map([
  ["GOVERNANCE", "GOVERNANCE"],
  ["COMPLIANCE", "COMPLIANCE"],
]);

/** What a write asks for; undefined parts are not asked for. */
export type LockWish = {
  readonly retention: Retention | undefined;
  readonly legalHold: boolean | undefined;
};

/**
 * Reads the headers that lock a new version.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 */
export function readLockHeaders(headers: RequestHeaders, nowMs: number): LockWish {
  const mode = headers.get(MODE);
  const until = headers.get(UNTIL);
  if ((mode === undefined) !== (until === undefined)) {
    const [name, value] = mode === undefined ? [UNTIL, until ?? ""] : [MODE, mode];
    throw refused(name, value, `${UNTIL} and ${MODE} must both be supplied`);
  }
  return {
    retention:
      mode === undefined || until === undefined
        ? undefined
        : { mode: readMode(mode), untilMs: readUntil(until, nowMs) },
    legalHold: readHold(headers.get(HOLD)),
  };
}

/** A date until which something is to be kept: in the future, or it would promise nothing. */
export function requireFuture(untilMs: number, nowMs: number, text: string): number {
  if (untilMs > nowMs) return untilMs;
  throw refused(UNTIL, text, "The retain until date must be in the future!");
}

function readMode(text: string): LockMode {
  const mode = MODES.get(text);
  if (mode === undefined) throw refused(MODE, text, "Unknown wormMode directive.");
  return mode;
}

function readUntil(text: string, nowMs: number): number {
  const untilMs = parseIsoDate(text);
  if (untilMs === undefined) {
    throw refused(UNTIL, text, "The retain until date must be provided in ISO 8601 format");
  }
  return requireFuture(untilMs, nowMs, text);
}

function readHold(text: string | undefined): boolean | undefined {
  if (text === undefined || text === "OFF") return text === undefined ? undefined : false;
  if (text === "ON") return true;
  throw refused(HOLD, text, "Legal Hold must be either of 'ON' or 'OFF'");
}

function refused(name: string, value: string, message: string): S3Error {
  const fields = { ArgumentName: name, ArgumentValue: value };
  return new S3Error("InvalidArgument", { message, fields });
}

/** Describes a lock to those who may know of its parts. */
export function pushLockHeaders(
  lines: HeaderLines,
  { retention, legalHold }: ObjectLock,
  may: { readonly seeRetention: boolean; readonly seeLegalHold: boolean },
): void {
  if (retention !== undefined && may.seeRetention) {
    lines.push([MODE, retention.mode], [UNTIL, formatIsoDate(retention.untilMs)]);
  }
  if (legalHold && may.seeLegalHold) lines.push([HOLD, "ON"]);
}
