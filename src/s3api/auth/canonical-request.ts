import type { RequestHeaders } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";

/**
 * The text a client signs (pure).
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export type CanonicalParts = {
  readonly method: string;
  /** Path of the request as it came. */
  readonly rawPath: string;
  /** As `canonicalQuery` gives it. */
  readonly query: string;
  readonly headers: RequestHeaders;
  /** The list as the client wrote it, and the same list cut at its semicolons. */
  readonly signedHeaders: string;
  readonly signedNames: readonly string[];
  /** Value of x-amz-content-sha256, or what stands for it. */
  readonly payloadHash: string;
};

const PERCENT = 0x25;
const PLUS = 0x2b;
const SLASH = 0x2f;
const HEX = "0123456789ABCDEF";

/** Bytes that AWS's URI encoding leaves as they are: A-Z a-z 0-9 - . _ ~ */
const UNRESERVED = makeUnreserved();

function makeUnreserved(): Uint8Array {
  const table = new Uint8Array(256);
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  for (let at = 0; at < letters.length; at++) table[letters.charCodeAt(at)] = 1;
  return table;
}

/** The canonical request of SigV4, whose SHA-256 goes into the string to sign. Hot path. */
export function canonicalRequest(parts: CanonicalParts): string {
  let text = `${parts.method}\n${canonicalPath(parts.rawPath)}\n${parts.query}\n`;
  for (const name of parts.signedNames) {
    text += `${name}:${canonicalHeaderValue(parts.headers.get(name) ?? "")}\n`;
  }
  return `${text}\n${parts.signedHeaders}\n${parts.payloadHash}`;
}

/** The path decoded once and encoded again AWS's way. S3 does not normalise dots or slashes. */
export function canonicalPath(rawPath: string): string {
  return isCanonical(rawPath, true) ? rawPath : reencode(rawPath, { path: true });
}

/** A query parameter, name and value decoded and encoded again AWS's way. */
export type QueryPair = readonly [name: string, value: string];

const NO_PAIRS: readonly QueryPair[] = [];

/** The parameters in the order they came; empty pieces are skipped, a missing value is empty. */
export function canonicalPairs(rawQuery: string): readonly QueryPair[] {
  if (rawQuery === "") return NO_PAIRS;
  const pairs: QueryPair[] = [];
  for (const piece of rawQuery.split("&")) {
    if (piece === "") continue;
    const equals = piece.indexOf("=");
    const name = equals < 0 ? piece : piece.slice(0, equals);
    const value = equals < 0 ? "" : piece.slice(equals + 1);
    pairs.push([canonicalComponent(name), canonicalComponent(value)]);
  }
  return pairs;
}

/**
 * The query in order of its encoded bytes. `except` names the one parameter that cannot be part of
 * what it signs.
 */
export function canonicalQuery(pairs: readonly QueryPair[], except?: string): string {
  if (pairs.length === 0) return "";
  let text = "";
  for (const [name, value] of pairs.length === 1 ? pairs : pairs.toSorted(comparePairs)) {
    if (name !== except) text += `${text === "" ? "" : "&"}${name}=${value}`;
  }
  return text;
}

/** By name, then by value; both are ASCII here, so string order is byte order. */
function comparePairs(left: QueryPair, right: QueryPair): number {
  if (left[0] !== right[0]) return left[0] < right[0] ? -1 : 1;
  if (left[1] !== right[1]) return left[1] < right[1] ? -1 : 1;
  return 0;
}

/** Trimmed by the engine already; runs of spaces become one. */
export function canonicalHeaderValue(value: string): string {
  return value.includes("  ") ? value.replace(/ {2,}/g, " ") : value;
}

function canonicalComponent(raw: string): string {
  return isCanonical(raw, false) ? raw : reencode(raw, { path: false });
}

/** True when decoding and encoding again would give the same text: nearly always. */
function isCanonical(raw: string, path: boolean): boolean {
  for (let at = 0; at < raw.length; at++) {
    const unit = raw.charCodeAt(at);
    if (UNRESERVED[unit] === 1 || (path && unit === SLASH)) continue;
    if (unit !== PERCENT) return false;
    const high = upperHexDigit(raw.charCodeAt(at + 1));
    const low = upperHexDigit(raw.charCodeAt(at + 2));
    if (high < 0 || low < 0) return false;
    const byte = high * 16 + low;
    if (UNRESERVED[byte] === 1 || (path && byte === SLASH)) return false;
    at += 2;
  }
  return true;
}

/** A plus sign is a space in a query and itself in a path, as S3 reads them. */
function reencode(raw: string, options: { readonly path: boolean }): string {
  const bytes = Buffer.from(raw, "utf8");
  let text = "";
  for (let at = 0; at < bytes.length; at++) {
    let byte = bytes[at] ?? 0;
    if (byte === PERCENT) {
      const high = hexDigit(bytes[at + 1] ?? 0);
      const low = hexDigit(bytes[at + 2] ?? 0);
      if (high < 0 || low < 0) throw new S3Error("InvalidURI");
      byte = high * 16 + low;
      at += 2;
    } else if (byte === PLUS && !options.path) {
      byte = 0x20;
    }
    const plain = UNRESERVED[byte] === 1 || (options.path && byte === SLASH);
    text += plain ? String.fromCharCode(byte) : `%${HEX[byte >> 4]}${HEX[byte & 15]}`;
  }
  return text;
}

function upperHexDigit(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  return unit >= 0x41 && unit <= 0x46 ? unit - 0x37 : -1;
}

function hexDigit(unit: number): number {
  return unit >= 0x61 && unit <= 0x66 ? unit - 0x57 : upperHexDigit(unit);
}
