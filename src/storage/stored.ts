import type { Hlc } from "../core/hlc.ts";
import type { BucketName, ObjectKey, VersionId } from "../core/names.ts";
import type { ListingFields, ObjectListing } from "../core/object-listing.ts";
import type { BucketSettings, ObjectRecord, UploadRecord } from "../core/records.ts";
import type { StreamHasher } from "../ports/hash.ts";
import type { VersionListing } from "./metadata/version-listing.ts";

/*
 * What is stored, as users of the store see it. Import it from store.ts.
 */

export type StoredBucket = {
  readonly name: BucketName;
  readonly createdMs: number;
  readonly owner: string;
  readonly settings: BucketSettings;
};

/** An object that exists, with where it is; `place` is opaque outside storage. */
export type StoredObject = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly version: VersionId;
  /** Whether it is the null version: clients see "null" and never the id above. */
  readonly isNull: boolean;
  /** It lost to a write that did not know of it, and is read by its id alone. */
  readonly conflict?: true;
  readonly hlc: Hlc;
  readonly record: ObjectRecord;
  readonly place: BodyPlace;
};

/** A version that exists; `isLatest`: it is the newest of its key. */
export type StoredVersion = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly version: VersionId;
  readonly hlc: Hlc;
  readonly isNull: boolean;
  readonly isLatest: boolean;
} & (
  | { readonly kind: "object"; readonly object: StoredObject }
  | { readonly kind: "delete-marker"; readonly deletedMs: number }
);

/** What a listing shows of a version; the rest of its row is not read. */
export type ListedVersion = {
  readonly key: ObjectKey;
  /** It is the newest of its key. */
  readonly isLatest: boolean;
  readonly shown: VersionListing;
};

/** As ObjectCursor, over (key, version): every step reads one row. */
export interface VersionCursor<Version = StoredVersion> {
  next(): Version | undefined;
  /** Continues at the first version of the first key >= `from`. */
  seek(from: string): void;
  /**
   * Continues behind this version of the key, whether it is still there or not; without an id,
   * behind every version of it. A null version that has gone leaves no place: then it continues at
   * the key's first.
   */
  seekAfter(key: string, version: VersionId | "null" | undefined): void;
  /** Continues at the first key that does not start with `prefix` and is greater than it. */
  seekPast(prefix: string): void;
  readonly rowsRead: number;
  close(): void;
}

/** Where an inline body lies; manifests are looked up by their hash. */
type BodyPlace = {
  readonly segment: number;
  /** Offset of the body record in the segment; meaningless for manifests. */
  readonly offset: number;
};

/** What a listing shows of an object; the rest of its row is not read. */
export type ListedObject = { readonly key: ObjectKey; readonly listing: ObjectListing };

/**
 * An object as its row says it, in memory that is used again by the next step of its walk and by
 * anything else that is read.
 */
export interface ListedRow {
  /** The key in UTF-8, from `keyStart` to `keyEnd` of `key`. */
  readonly key: Uint8Array;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** Holds the ETag, at `fields.etagAt`. */
  readonly value: Uint8Array;
  /** What a listing shows of a usual object; says nothing when `unusual` is there. */
  readonly fields: ListingFields;
  readonly unusual: ObjectListing | undefined;
}

/**
 * Walks keys forward from the beginning of a bucket, or from where the last seek went; every step
 * reads one row, and a seek skips what lies between.
 */
export interface ObjectCursor {
  /** Moves to the next object; false at the end of the bucket. */
  step(): boolean;
  /** The object of the last step. */
  readonly row: ListedRow;
  /** Moves like `step`, and gives the object in memory of its own. Undefined at the end. */
  next(): ListedObject | undefined;
  /** Continues at the first key >= `from`: any UTF-8 text, it need not be a valid key. */
  seek(from: string): void;
  /** Continues at the first key > `key`, which is any text too. */
  seekAfter(key: string): void;
  /** Continues at the first key that does not start with `prefix` and is greater than it. */
  seekPast(prefix: string): void;
  /** Rows read so far: what tests count instead of time. */
  readonly rowsRead: number;
  /** Lets go of the snapshot that the walk reads from; one left open makes the index grow. */
  close(): void;
}

/** As ObjectCursor, over (key, upload id). */
export interface UploadCursor {
  next(): UploadRecord | undefined;
  /** Continues after this upload; without an id, after every upload of that key. */
  seekAfter(key: string, uploadId: string | undefined): void;
  seek(fromKey: string): void;
  seekPast(prefix: string): void;
  close(): void;
}

/** Half-open, in bytes of the object. */
export type ByteRange = { readonly start: number; readonly end: number };

export interface BodyReader {
  /** The next verified slice, at most LIMITS.sliceBytes; undefined at the end. Memory is reused. */
  next(): Promise<Uint8Array | undefined>;
  close(): void;
}

/** A writer whose bytes a hasher reads: it may lag behind, and may be waited for. */
export type HashedWriter = {
  /** Whether so many bytes can be written though the promise of a write has not resolved. */
  takes(bytes: number): boolean;
  /** Hands over the end of the body, before the hasher is asked for digests. */
  end(): void;
};

/** Receives a large body. Memory is bounded: wait for a returned promise before the next write. */
export interface BodyWriter {
  /** Copies the bytes. Returns a promise when the caller must wait, undefined when it need not. */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /**
   * Lets a hasher read the body where it comes to lie, so that it need not be copied for it; call
   * before the first write.
   */
  hashWith?(hasher: Pick<StreamHasher, "lend">): HashedWriter;
  /** Resolves when every byte is durable. The result can be used once, in putObject or putPart. */
  finish(): Promise<StagedBody>;
  /** Gives the space back. Does nothing after the staged body has been used. */
  abort(): void;
}

/** A durable body that nothing refers to yet; opaque outside storage. */
export interface StagedBody {
  readonly bytes: number;
  /** Forgets it (a checksum did not match): its space is given back. */
  discard(): void;
}
