import { StorageFault } from "../core/faults.ts";
import { type BucketName, parseObjectKey } from "../core/names.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv } from "../ports/kv.ts";
import { BucketRows } from "./cursors.ts";
import { invertedId, type Located, nullVersion, writeIdOf } from "./metadata/key-versions.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { StoredVersion, VersionCursor } from "./store.ts";
import { toStoredVersion } from "./versions.ts";

type CursorDeps = { readonly kv: Kv; readonly hash: Hash; readonly index: RowReader };
type Next = { readonly key: string; readonly row: Located };

/** One table of a bucket, with the row that comes next looked at but not yet given. */
class Ahead {
  readonly rows: BucketRows<Located>;
  #next: Next | undefined;
  #known = false;

  constructor(rows: BucketRows<Located>) {
    this.rows = rows;
  }

  peek(): Next | undefined {
    if (!this.#known) this.#next = this.rows.next();
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
class Versions implements VersionCursor {
  readonly #bucket: BucketName;
  readonly #index: RowReader;
  readonly #current: Ahead;
  readonly #older: Ahead;
  /** The key whose newest version has been passed. */
  #passed: string | undefined;

  constructor(deps: CursorDeps, bucket: BucketName) {
    const { crc32 } = deps.hash;
    this.#bucket = bucket;
    this.#index = deps.index;
    const current = (value: Uint8Array): Located => {
      const row = decodeRow(TABLES.object, value, crc32);
      return { kind: "object", row, current: true };
    };
    const older = (value: Uint8Array): Located => {
      return { ...decodeRow(TABLES.version, value, crc32), current: false };
    };
    this.#current = new Ahead(new BucketRows(deps, { table: TABLES.object, bucket }, current));
    this.#older = new Ahead(new BucketRows(deps, { table: TABLES.version, bucket }, older));
  }

  get rowsRead(): number {
    return this.#current.rows.rowsRead + this.#older.rows.rowsRead;
  }

  next(): StoredVersion | undefined {
    const current = this.#current.peek();
    const older = this.#older.peek();
    const olderKey = older === undefined ? undefined : keyOf(older.key);
    if (current !== undefined && (olderKey === undefined || !isBefore(olderKey, current.key))) {
      this.#current.take();
      return this.#show(current.key, current.row);
    }
    if (older === undefined || olderKey === undefined) return undefined;
    this.#older.take();
    return this.#show(olderKey, older.row);
  }

  seek(from: string): void {
    this.#passed = undefined;
    this.#current.from({ gte: this.#current.rows.keyOf(from) });
    this.#older.from({ gte: this.#older.rows.keyOf(from) });
  }

  seekAfter(key: string, version: Parameters<VersionCursor["seekAfter"]>[1]): void {
    if (version === undefined) {
      this.seek(`${key}\u0001`);
      return;
    }
    const id = version === "null" ? this.#nullId(key) : writeIdOf(version);
    if (id === undefined) {
      this.seek(key);
      return;
    }
    this.seek(key);
    const current = this.#current.peek();
    const inverted = invertedId(id);
    if (current?.key === key) {
      const { stamp } = current.row.row;
      if (invertedId(stamp) > inverted) return;
      this.#current.take();
    } else if (this.#isBehindNone(`${key}\0`, inverted)) {
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

  /** Whether even the newest of a key's versions, all of them in one table, is older than this. */
  #isBehindNone(start: string, inverted: string): boolean {
    const newest = this.#older.peek()?.key;
    return newest?.startsWith(start) === true && newest > start + inverted;
  }

  #nullId(text: string): ReturnType<typeof writeIdOf> | undefined {
    const key = parseObjectKey(text);
    if (key === undefined) return undefined;
    return nullVersion(this.#index, { bucket: this.#bucket, key })?.row.stamp;
  }

  #show(text: string, found: Located): StoredVersion {
    const isLatest = this.#passed !== text;
    this.#passed = text;
    const key = parseObjectKey(text);
    if (key === undefined) throw new StorageFault("corrupt", "a row has no object key");
    return toStoredVersion({ bucket: this.#bucket, key }, found, isLatest);
  }
}

/** Walks every version and delete marker of a bucket; each step reads one row. */
export function versionCursor(deps: CursorDeps, bucket: BucketName): VersionCursor {
  return new Versions(deps, bucket);
}

/** The key in front of a version's digits. */
function keyOf(text: string): string {
  return text.slice(0, text.lastIndexOf("\0"));
}

/** Order of the index: unsigned bytes of UTF-8. */
function isBefore(left: string, right: string): boolean {
  return left !== right && Buffer.compare(Buffer.from(left), Buffer.from(right)) < 0;
}
