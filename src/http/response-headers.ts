import type { ResponseHeaders } from "./exchange.ts";

// Framing is the engine's: a second Content-Length would split the response in two.
const ENGINE_NAMES: ReadonlySet<string> = new Set([
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "date",
]);

const CONTENT_LENGTH = "Content-Length";
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Hands each header line to `write` in a form that can end neither its line nor the header block:
 * control characters of a value (of stored metadata, say) are percent-encoded, and names that are
 * no token or belong to the engine are left out.
 */
export function writeHeaders(
  headers: ResponseHeaders,
  write: (name: string, value: string) => void,
): void {
  for (const [name, value] of headers) {
    if (isSendable(name)) write(name, isPlain(value) ? value : encodeControls(value));
  }
}

/** Names that have been looked at; strangers' metadata must not fill the memory. */
const KNOWN_NAMES = new Map<string, boolean>();
const KNOWN_NAMES_MAX = 1024;

function isSendable(name: string): boolean {
  const known = KNOWN_NAMES.get(name);
  if (known !== undefined) return known;
  const sendable = NAME.test(name) && !ENGINE_NAMES.has(name.toLowerCase());
  if (KNOWN_NAMES.size >= KNOWN_NAMES_MAX) KNOWN_NAMES.clear();
  KNOWN_NAMES.set(name, sendable);
  return sendable;
}

/**
 * All header lines as one: the first name, and a value that holds the rest with its line ends. A
 * native engine charges for every call, not for every byte. Undefined without any. Hot path.
 *
 * @param contentLength is told as the last line, where the engine would not tell it.
 */
export function headerBlock(
  headers: ResponseHeaders,
  contentLength?: number,
): { readonly name: string; readonly rest: string } | undefined {
  let first: string | undefined;
  let rest = "";
  for (let at = 0; at < headers.length; at++) {
    const [name, given] = headers[at] as ResponseHeaders[number];
    if (!isSendable(name)) continue;
    const value = isPlain(given) ? given : encodeControls(given);
    if (first === undefined) {
      first = name;
      rest = value;
    } else {
      rest += `\r\n${name}: ${value}`;
    }
  }
  if (contentLength === undefined) return first === undefined ? undefined : { name: first, rest };
  if (first === undefined) return { name: CONTENT_LENGTH, rest: String(contentLength) };
  return { name: first, rest: `${rest}\r\n${CONTENT_LENGTH}: ${contentLength}` };
}

function isPlain(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const unit = value.charCodeAt(at);
    if ((unit < 0x20 && unit !== 0x09) || unit === 0x7f) return false;
  }
  return true;
}

function encodeControls(value: string): string {
  let encoded = "";
  for (const char of value) encoded += isPlain(char) ? char : encodeURIComponent(char);
  return encoded;
}

/** The status line's number and words, as both engines send them. */
export function statusText(status: number): string {
  return STATUS_TEXT[status] ?? `${status} Status`;
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: "200 OK",
  201: "201 Created",
  202: "202 Accepted",
  204: "204 No Content",
  206: "206 Partial Content",
  301: "301 Moved Permanently",
  302: "302 Found",
  303: "303 See Other",
  304: "304 Not Modified",
  307: "307 Temporary Redirect",
  308: "308 Permanent Redirect",
  400: "400 Bad Request",
  401: "401 Unauthorized",
  403: "403 Forbidden",
  404: "404 Not Found",
  405: "405 Method Not Allowed",
  408: "408 Request Timeout",
  409: "409 Conflict",
  411: "411 Length Required",
  412: "412 Precondition Failed",
  413: "413 Content Too Large",
  416: "416 Range Not Satisfiable",
  417: "417 Expectation Failed",
  429: "429 Too Many Requests",
  431: "431 Request Header Fields Too Large",
  500: "500 Internal Server Error",
  501: "501 Not Implemented",
  502: "502 Bad Gateway",
  503: "503 Service Unavailable",
  504: "504 Gateway Timeout",
  505: "505 HTTP Version Not Supported",
  507: "507 Insufficient Storage",
};

/** Statuses that never carry a body nor a Content-Length (RFC 9110, section 8.6). */
export function isBodyless(status: number): boolean {
  return status === 204 || status === 304;
}
