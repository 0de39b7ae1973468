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

/** The steps of a walk over names for one page. */
export interface NameWalk extends Omit<ListSource<unknown>, "next" | "nameOf"> {
  /** Moves on; false behind the last name. */
  step(): boolean;
  /** Whether the name starts with the prefix of the page. */
  isBelow(): boolean;
  /** The common prefix that the name folds into; undefined when it stands for itself. */
  folded(): string | undefined;
}

/** Called with what a page shows, in order. */
export interface PageShow {
  /** The name that the walk stands at. */
  entry(): void;
  prefix(name: string): void;
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
 * Walks one page of a listing, and returns whether more would follow. Names are folded at the first
 * delimiter behind the prefix, and the walk seeks past a common prefix instead of visiting it, so
 * that the cost follows the page.
 *
 * An item is behind the marker when its own name is greater: a marker inside a common prefix has
 * passed that prefix.
 */
export function walkPage(walk: NameWalk, wish: PageWish, show: PageShow): boolean {
  try {
    for (const bound of [wish.prefix, wish.marker]) refuseLongBound(bound);
    return wish.max > 0 && foldPage(walk, wish, show);
  } finally {
    walk.close();
  }
}

/** One page of a listing whose entries are kept. */
export function listPage<Entry>(source: ListSource<Entry>, wish: PageWish): Page<Entry> {
  const items: Array<PageItem<Entry>> = [];
  const { prefix, delimiter } = wish;
  let entry: Entry | undefined;
  let name = "";
  const walk: NameWalk = {
    step() {
      entry = source.next();
      if (entry !== undefined) name = source.nameOf(entry);
      return entry !== undefined;
    },
    isBelow: () => name.startsWith(prefix),
    folded: () => foldName(name, prefix, delimiter),
    seek: (from) => source.seek(from),
    seekPast: (past) => source.seekPast(past),
    seekAfter: (marker) => source.seekAfter(marker),
    close: () => source.close(),
  };
  const truncated = walkPage(walk, wish, {
    entry() {
      if (entry !== undefined) items.push({ kind: "entry", entry, name });
    },
    prefix: (folded) => items.push({ kind: "prefix", name: folded }),
  });
  return { items, truncated };
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

function foldPage(walk: NameWalk, wish: PageWish, show: PageShow): boolean {
  let shown = 0;
  start(walk, wish);
  while (walk.step()) {
    if (!walk.isBelow()) return false;
    if (shown === wish.max) return true;
    shown += 1;
    const folded = walk.folded();
    if (folded === undefined) {
      show.entry();
    } else {
      show.prefix(folded);
      walk.seekPast(folded);
    }
  }
  return false;
}

function start(walk: NameWalk, wish: PageWish): void {
  const { prefix, delimiter, marker } = wish;
  if (marker === "" || compareUtf8(marker, prefix) < 0) {
    walk.seek(prefix);
    return;
  }
  const passed = marker.startsWith(prefix) ? foldName(marker, prefix, delimiter) : undefined;
  if (passed === undefined) walk.seekAfter(marker);
  else walk.seekPast(passed);
}

/** The common prefix a name folds into; undefined when it has no delimiter behind the prefix. */
function foldName(name: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === "") return undefined;
  const at = name.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : name.slice(0, at + delimiter.length);
}
