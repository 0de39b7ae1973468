import { StorageFault } from "../core/faults.ts";
import { type BucketName, parseObjectKey, type VersionId } from "../core/names.ts";
import { compareUtf8 } from "../core/utf8-order.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv } from "../ports/kv.ts";
import { BucketRows } from "./cursors.ts";
import {
  invertedId,
  type KeyName,
  type Located,
  nullVersion,
  type WriteId,
  writeIdOf,
} from "./metadata/key-versions.ts";
import { objectKeyOf } from "./metadata/keys.ts";
import { decodeListedObject, decodeListedVersion, decodeRow, TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { VersionListing } from "./metadata/version-listing.ts";
import type { ListedVersion, StoredVersion, VersionCursor } from "./store.ts";
import { toStoredVersion } from "./versions.ts";

type CursorDeps = { readonly kv: Kv; readonly hash: Hash; readonly index: RowReader };

/** How a walk reads the rows of either table, and what it gives of each. */
type Reading<Row, Version> = {
  readonly current: (value: Uint8Array) => Row;
  readonly older: (value: Uint8Array) => Row;
  readonly show: (name: KeyName, row: Row, isLatest: boolean) => Version;
};

type Next<Row> = { readonly name: string; readonly key: string; readonly row: Row };

/** One table of a bucket, with the next row read but not yet given out. */
class Ahead<Row> {
  readonly rows: BucketRows<Row>;
  readonly #keyOf: (name: string) => string;
  #next: Next<Row> | undefined;
  #known = false;

  /** @param keyOf the object key in the name of a row. */
  constructor(rows: BucketRows<Row>, keyOf: (name: string) => string) {
    this.rows = rows;
    this.#keyOf = keyOf;
  }

  peek(): Next<Row> | undefined {
    if (this.#known) return this.#next;
    const found = this.rows.next();
    this.#next =
      found === undefined
        ? undefined
        : { name: found.key, key: this.#keyOf(found.key), row: found.row };
    this.#known = true;
    return this.#next;
  }

  take(): void {
    this.#known = false;
  }

  from(query: { gte: Uint8Array } | { gt: Uint8Array }): void {
    this.rows.from(query);
    this.#known = false;
  }
}

/**
 * Walks all versions of a bucket: the current objects and, between them, the older versions and
 * delete markers. A key's current object is newer than every other version of it.
 */
class Versions<Row, Version> implements VersionCursor<Version> {
  readonly #bucket: BucketName;
  readonly #index: RowReader;
  readonly #reading: Reading<Row, Version>;
  readonly #current: Ahead<Row>;
  readonly #older: Ahead<Row>;
  /** The key whose newest version has been passed. */
  #passed: string | undefined;

  constructor(deps: CursorDeps, bucket: BucketName, reading: Reading<Row, Version>) {
    this.#bucket = bucket;
    this.#index = deps.index;
    this.#reading = reading;
    const { current, older } = reading;
    const currentRows = new BucketRows(deps, { table: TABLES.object, bucket }, current);
    const olderRows = new BucketRows(deps, { table: TABLES.version, bucket }, older);
    this.#current = new Ahead(currentRows, (name) => name);
    this.#older = new Ahead(olderRows, keyInFront);
  }

  get rowsRead(): number {
    return this.#current.rows.rowsRead + this.#older.rows.rowsRead;
  }

  next(): Version | undefined {
    const current = this.#current.peek();
    const older = this.#older.peek();
    if (
      current !== undefined &&
      (older === undefined || compareUtf8(older.key, current.key) >= 0)
    ) {
      this.#current.take();
      return this.#show(current);
    }
    if (older === undefined) return undefined;
    this.#older.take();
    return this.#show(older);
  }

  seek(from: string): void {
    this.#passed = undefined;
    this.#current.from({ gte: this.#current.rows.keyOf(from) });
    this.#older.from({ gte: this.#older.rows.keyOf(from) });
  }

  seekAfter(key: string, version: VersionId | "null" | undefined): void {
    if (version === undefined) {
      this.seek(`${key}\u0001`);
      return;
    }
    const name = this.#nameOf(key);
    const id = version === "null" ? this.#nullId(name) : writeIdOf(version);
    this.seek(key);
    if (id === undefined) return;
    const inverted = invertedId(id);
    const current = this.#currentOf(name);
    if (current !== undefined) {
      if (invertedId(current) > inverted) return;
      this.#current.take();
    } else if (this.#isNewestOlder(`${key}\0`, inverted)) {
      return;
    }
    this.#passed = key;
    this.#older.from({ gt: this.#older.rows.keyOf(`${key}\0${inverted}`) });
  }

  seekPast(prefix: string): void {
    this.#passed = undefined;
    this.#current.rows.past(prefix);
    this.#current.take();
    this.#older.rows.past(prefix);
    this.#older.take();
  }

  close(): void {
    this.#current.rows.close();
    this.#older.rows.close();
  }

  /** The write of a key's current object, when the walk stands at it. */
  #currentOf(name: KeyName | undefined): WriteId | undefined {
    if (name === undefined || this.#current.peek()?.key !== name.key) return undefined;
    return this.#index.get(TABLES.object, objectKeyOf(name.bucket, name.key))?.stamp;
  }

  /**
   * Whether even the newest version of a key, all of whose versions are in one table, is older than
   * this.
   */
  #isNewestOlder(start: string, inverted: string): boolean {
    const newest = this.#older.peek()?.name;
    return newest?.startsWith(start) === true && newest > start + inverted;
  }

  #nameOf(text: string): KeyName | undefined {
    const key = parseObjectKey(text);
    return key === undefined ? undefined : { bucket: this.#bucket, key };
  }

  #nullId(name: KeyName | undefined): WriteId | undefined {
    return name === undefined ? undefined : nullVersion(this.#index, name)?.row.stamp;
  }

  #show({ key: text, row }: Next<Row>): Version {
    const isLatest = this.#passed !== text;
    this.#passed = text;
    const name = this.#nameOf(text);
    if (name === undefined) throw new StorageFault("corrupt", "a row has no object key");
    return this.#reading.show(name, row, isLatest);
  }
}

/** Walks every version and delete marker of a bucket; each step reads one row. */
export function versionCursor(deps: CursorDeps, bucket: BucketName): VersionCursor {
  const { crc32 } = deps.hash;
  return new Versions<Located, StoredVersion>(deps, bucket, {
    current: (value) => {
      return { kind: "object", row: decodeRow(TABLES.object, value, crc32), current: true };
    },
    older: (value) => ({ ...decodeRow(TABLES.version, value, crc32), current: false }),
    show: toStoredVersion,
  });
}

/** The same walk; each step decodes only what a listing shows. */
export function listedVersionCursor(
  deps: CursorDeps,
  bucket: BucketName,
): VersionCursor<ListedVersion> {
  const { crc32 } = deps.hash;
  return new Versions<VersionListing, ListedVersion>(deps, bucket, {
    current: (value) => decodeListedObject(value, crc32),
    older: (value) => decodeListedVersion(value, crc32),
    show: ({ key }, shown, isLatest) => ({ key, isLatest, shown }),
  });
}

/** The key in front of a version's digits. */
function keyInFront(name: string): string {
  return name.slice(0, name.lastIndexOf("\0"));
}
