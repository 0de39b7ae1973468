import { LIMITS } from "../../core/limits.ts";
import { parseWriteToken, type WriteToken } from "../../core/write-token.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";

export const AFTER_HEADER = "x-atoll-after";
const WAIT_HEADER = "x-atoll-wait";

/** The write that a request wants to see, and how long it waits; `after` is the header's value. */
export function readWaitWish(
  after: string,
  headers: RequestHeaders,
): { readonly token: WriteToken; readonly waitMs: number } {
  const token = headers.count(AFTER_HEADER) === 1 ? parseWriteToken(after) : undefined;
  if (token === undefined) {
    throw invalid(AFTER_HEADER, after, "It takes one x-atoll-token, as a write has answered it.");
  }
  const wait = headers.get(WAIT_HEADER) ?? "0";
  const waitMs = /^\d{1,9}$/.test(wait) ? Number(wait) : Number.NaN;
  if (!(waitMs <= LIMITS.appliedWaitMsMax)) {
    const most = `It takes milliseconds, at most ${LIMITS.appliedWaitMsMax}.`;
    throw invalid(WAIT_HEADER, wait, most);
  }
  return { token, waitMs };
}

function invalid(name: string, value: string, message: string): S3Error {
  return new S3Error("InvalidArgument", {
    message: `${name} is not valid. ${message}`,
    fields: { ArgumentName: name, ArgumentValue: value },
  });
}
