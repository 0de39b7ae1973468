import { LIMITS } from "../core/limits.ts";
import { isCommonName } from "./request-headers.ts";

/** A request head as an engine saw it; names are in lower case, in the order of arrival. */
export type RequestHead = {
  readonly method: string;
  readonly target: string;
  readonly names: readonly string[];
  readonly values: readonly string[];
};

/** Why a request never reaches the handler. The connection is closed behind the answer. */
export type Refusal = { readonly status: number; readonly reason: string };

const METHODS: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "PUT",
  "POST",
  "DELETE",
  "OPTIONS",
  "PATCH",
]);

// Fifteen digits stay within the safe integers and far above any limit of ours.
const CONTENT_LENGTH = /^[0-9]{1,15}$/;

// Field names are tokens (RFC 9110, section 5.6.2), lower case because the engines make them so.
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

// U+FFFD stands where bytes were not UTF-8: they could not be compared with what was signed. All
// control characters but the tab are refused too.
const VALUE = /^[\t\x20-\x7e\x80-\ufffc\ufffe\uffff]*$/;
const TARGET = /^\/[\x21-\x7e\x80-\ufffc\ufffe\uffff]*$/;

/**
 * Decides from the head alone whether a request is refused: everything that two parsers could read
 * in two ways, and everything beyond the limits. Undefined when it may go on.
 */
export function refuseRequest(head: RequestHead): Refusal | undefined {
  const { method, target, names, values } = head;
  if (!METHODS.has(method)) return { status: 405, reason: "method not supported" };
  if (!TARGET.test(target)) return { status: 400, reason: "bad request target" };
  if (names.length > LIMITS.headerCountMax) return { status: 431, reason: "too many headers" };
  let blockBytes = method.length + target.length + 12;
  const seen: Seen = { host: 0, length: 0, coding: 0, signature: 0, date: 0, digest: 0 };
  for (let index = 0; index < names.length; index++) {
    const name = names[index] ?? "";
    const value = values[index] ?? "";
    blockBytes += name.length + value.length + 4;
    if ((!isCommonName(name) && !NAME.test(name)) || !VALUE.test(value))
      return { status: 400, reason: "bad header" };
    const reason = refuseHeader(seen, name, value);
    if (reason !== undefined) return { status: 400, reason };
  }
  if (blockBytes > LIMITS.headerBlockBytesMax) return { status: 431, reason: "headers too large" };
  if (seen.host === 0) return { status: 400, reason: "host missing" };
  if (seen.length > 0 && seen.coding > 0) return { status: 400, reason: "two body framings" };
  return undefined;
}

type Seen = {
  host: number;
  length: number;
  coding: number;
  signature: number;
  date: number;
  digest: number;
};

function refuseHeader(seen: Seen, name: string, value: string): string | undefined {
  switch (name) {
    case "host":
      return ++seen.host > 1 || value === "" ? "bad host" : undefined;
    case "content-length":
      return ++seen.length > 1 || !CONTENT_LENGTH.test(value) ? "bad content-length" : undefined;
    case "transfer-encoding":
      return ++seen.coding > 1 || value !== "chunked" ? "bad transfer-encoding" : undefined;
    case "authorization":
      return ++seen.signature > 1 ? "repeated authorization" : undefined;
    case "x-amz-date":
      return ++seen.date > 1 ? "repeated x-amz-date" : undefined;
    case "x-amz-content-sha256":
      return ++seen.digest > 1 ? "repeated x-amz-content-sha256" : undefined;
    default:
      return undefined;
  }
}
