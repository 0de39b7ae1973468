import type { BucketName, ObjectKey, VersionId } from "../../core/names.ts";

/** A version that was found due. */
export type ExpireRequest = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  /** The write that was judged, also where it is the null version. */
  readonly version: VersionId;
  readonly isNull: boolean;
  /** Whether it was the newest of its key then, which must not have changed. */
  readonly isLatest: boolean;
  /** `expire` does what a delete without a version does, `remove` takes the version away. */
  readonly action: "expire" | "remove";
  /** The rules by which it was judged; other ones since then keep it. */
  readonly setting: Uint8Array;
  readonly nowMs: number;
};

/** "changed": it is not, or not any more, what the rules speak of. */
export type ExpireOutcome = { readonly outcome: "expired" | "changed" | "locked" };
