import type { BucketName, ObjectKey, VersionId } from "../core/names.ts";
import type { StoredObject } from "./stored.ts";

export type ConflictPage = {
  readonly conflicts: readonly StoredObject[];
  /** Where the next page begins; undefined behind the last conflict. */
  readonly next: string | undefined;
};

/** What becomes of conflicts: the current object stays, or the conflict takes its place. */
export type ConflictWish = "discard" | "restore";

export type ConflictName = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  /** Without it, every conflict of the key; only one can be restored. */
  readonly version: VersionId | undefined;
};

export type ConflictOutcome =
  | { readonly outcome: "resolved"; readonly count: number }
  | { readonly outcome: "no-such-conflict" }
  | { readonly outcome: "no-such-bucket" | "locked" | "over-quota" };

/** Writes that lost to others which did not know of them, until somebody settles that. */
export interface Conflicts {
  /** In order of bucket, key and time, newest first; of one bucket, or of all. */
  list(bucket: BucketName | undefined, after: string | undefined, max: number): ConflictPage;
  find(bucket: BucketName, key: ObjectKey, version: VersionId): StoredObject | undefined;
  /**
   * Settles conflicts at every site.
   *
   * @throws StorageFault "disk-full", "busy", "clock" or "corrupt".
   */
  resolve(name: ConflictName, wish: ConflictWish): Promise<ConflictOutcome>;
}
