import { S3Error } from "./errors.ts";

type Entries = ReadonlyArray<readonly [name: string, value: string]>;

/** Query parameters, decoded; each name at most once. */
export interface Query {
  readonly entries: Entries;
  get(name: string): string | undefined;
  has(name: string): boolean;
}

/**
 * The only percent-decoding of paths, queries and copy sources; applied exactly once. Undefined
 * when an escape is broken or the bytes are not UTF-8.
 */
export function decodePercent(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

export const EMPTY_QUERY: Query = { entries: [], get: () => undefined, has: () => false };

/**
 * Reads the query of a target, without its question mark. A plus sign is a space, as in forms. A
 * parameter given twice is refused: one reader might believe the first and another the second.
 */
export function parseQuery(raw: string): Query {
  if (raw === "") return EMPTY_QUERY;
  const entries: Array<readonly [string, string]> = [];
  const values = new Map<string, string>();
  for (const pair of raw.split("&")) {
    if (pair === "") continue;
    const equalsAt = pair.indexOf("=");
    const name = decodeForm(equalsAt < 0 ? pair : pair.slice(0, equalsAt));
    const value = equalsAt < 0 ? "" : decodeForm(pair.slice(equalsAt + 1));
    if (name === undefined || value === undefined) throw new S3Error("InvalidURI");
    if (values.has(name)) {
      throw new S3Error("InvalidArgument", {
        message: "A query parameter was given more than once",
        fields: { ArgumentName: name, ArgumentValue: value },
      });
    }
    values.set(name, value);
    entries.push([name, value]);
  }
  return { entries, get: (name) => values.get(name), has: (name) => values.has(name) };
}

/** As `decodePercent`, with a plus sign as a space, as forms have it. */
export function decodeForm(text: string): string | undefined {
  return decodePercent(text.includes("+") ? text.replaceAll("+", " ") : text);
}

/** Path (still encoded) and query of a request target; refuses what no S3 client sends. */
export function splitTarget(target: string): { readonly path: string; readonly query: Query } {
  // Raw bytes beyond ASCII do not belong in a target; the engine may have changed them already.
  if (!target.startsWith("/") || !isPrintableAscii(target)) {
    throw new S3Error("InvalidURI");
  }
  const queryAt = target.indexOf("?");
  if (queryAt < 0) return { path: target, query: EMPTY_QUERY };
  return { path: target.slice(0, queryAt), query: parseQuery(target.slice(queryAt + 1)) };
}

function isPrintableAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit <= 0x20 || unit >= 0x7f) return false;
  }
  return true;
}
