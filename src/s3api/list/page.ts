import { LIMITS } from "../../core/limits.ts";
import { compareUtf8 } from "../../core/utf8-order.ts";
import { S3Error } from "../errors.ts";

/** What a listing walks: sorted by unsigned UTF-8 bytes of the name; names may repeat. */
export interface ListSource<Entry> {
  next(): Entry | undefined;
  /** Continues at the first entry whose name is at or after `from`. */
  seek(from: string): void;
  /** Continues at the first entry after those whose name starts with `prefix`. */
  seekPast(prefix: string): void;
  /** Continues after the marker: past everything an earlier page has shown. */
  seekAfter(marker: string): void;
  nameOf(entry: Entry): string;
  /** Ends the walk; called once, however the page ends. */
  close(): void;
}

export type PageWish = {
  readonly prefix: string;
  /** Empty: no folding. */
  readonly delimiter: string;
  /** Exclusive; empty: from the beginning. A common prefix as marker is passed as a whole. */
  readonly marker: string;
  readonly max: number;
};

export type PageItem<Entry> =
  | { readonly kind: "entry"; readonly entry: Entry; readonly name: string }
  | { readonly kind: "prefix"; readonly name: string };

export type Page<Entry> = {
  /** In order; a common prefix stands where its first entry would. */
  readonly items: ReadonlyArray<PageItem<Entry>>;
  readonly truncated: boolean;
};

/**
 * One page of a listing: folds names at the first delimiter after the prefix, and seeks past a
 * common prefix instead of walking it, so that the cost follows the page.
 *
 * An item belongs behind the marker when its own name is greater: a marker inside a common prefix
 * has passed that prefix.
 */
export function listPage<Entry>(source: ListSource<Entry>, wish: PageWish): Page<Entry> {
  try {
    for (const bound of [wish.prefix, wish.marker]) refuseLongBound(bound);
    return wish.max === 0 ? { items: [], truncated: false } : foldPage(source, wish);
  } finally {
    source.close();
  }
}

/** No key is longer, and the index refuses to be asked for more than it could hold. */
function refuseLongBound(bound: string): void {
  const mayBeTooLong = bound.length * 3 > LIMITS.keyBytesMax;
  if (mayBeTooLong && Buffer.byteLength(bound) > LIMITS.keyBytesMax) {
    throw new S3Error("KeyTooLongError", {
      fields: {
        Size: String(Buffer.byteLength(bound)),
        MaxSizeAllowed: String(LIMITS.keyBytesMax),
      },
    });
  }
}

function foldPage<Entry>(source: ListSource<Entry>, wish: PageWish): Page<Entry> {
  const { prefix, delimiter, max } = wish;
  const items: Array<PageItem<Entry>> = [];
  start(source, wish);
  for (let entry = source.next(); entry !== undefined; entry = source.next()) {
    const name = source.nameOf(entry);
    if (!name.startsWith(prefix)) break;
    if (items.length === max) return { items, truncated: true };
    const folded = foldName(name, prefix, delimiter);
    if (folded === undefined) {
      items.push({ kind: "entry", entry, name });
    } else {
      items.push({ kind: "prefix", name: folded });
      source.seekPast(folded);
    }
  }
  return { items, truncated: false };
}

function start<Entry>(source: ListSource<Entry>, wish: PageWish): void {
  const { prefix, delimiter, marker } = wish;
  if (marker === "" || compareUtf8(marker, prefix) < 0) {
    source.seek(prefix);
    return;
  }
  const passed = marker.startsWith(prefix) ? foldName(marker, prefix, delimiter) : undefined;
  if (passed === undefined) source.seekAfter(marker);
  else source.seekPast(passed);
}

/** The common prefix a name folds into; undefined when it has no delimiter behind the prefix. */
function foldName(name: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === "") return undefined;
  const at = name.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : name.slice(0, at + delimiter.length);
}
