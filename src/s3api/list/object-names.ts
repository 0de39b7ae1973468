import type { ListedRow, ObjectCursor } from "../../storage/store.ts";
import type { NameWalk, PageWish } from "./page.ts";

/** The keys of a bucket's objects, compared as the bytes that the index holds. */
export function objectNames(
  cursor: ObjectCursor,
  wish: Pick<PageWish, "prefix" | "delimiter">,
): NameWalk {
  const { row } = cursor;
  const prefix = Buffer.from(wish.prefix);
  const delimiter = Buffer.from(wish.delimiter);
  return {
    step: () => cursor.step(),
    isBelow: () => row.keyEnd - row.keyStart >= prefix.length && stands(prefix, row, row.keyStart),
    folded: () => (delimiter.length === 0 ? undefined : fold(row, prefix.length, delimiter)),
    seek: (from) => cursor.seek(from),
    seekPast: (past) => cursor.seekPast(past),
    seekAfter: (marker) => cursor.seekAfter(marker),
    close: () => cursor.close(),
  };
}

/** The part of a key up to and including the first delimiter behind the prefix. */
function fold(row: ListedRow, prefixBytes: number, delimiter: Uint8Array): string | undefined {
  const { keyStart, keyEnd } = row;
  const last = keyEnd - delimiter.length;
  for (let at = keyStart + prefixBytes; at <= last; at++) {
    if (stands(delimiter, row, at)) return keyText(row, at + delimiter.length);
  }
  return undefined;
}

/**
 * Whether a key has these bytes from `at` on; the caller has checked that there is room for them.
 */
function stands(bytes: Uint8Array, { key }: ListedRow, at: number): boolean {
  for (let index = 0; index < bytes.length; index++) {
    if (key[at + index] !== bytes[index]) return false;
  }
  return true;
}

/** A key as text, up to `end`. */
export function keyText({ key, keyStart, keyEnd }: ListedRow, end: number = keyEnd): string {
  return Buffer.from(key.buffer, key.byteOffset + keyStart, end - keyStart).toString("utf8");
}
