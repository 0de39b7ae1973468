import type { BroughtUpload } from "../core/forwarded-request.ts";
import type { Hlc } from "../core/hlc.ts";
import type {
  AccessKeyId,
  BucketName,
  ObjectKey,
  SiteId,
  UploadId,
  VersionId,
} from "../core/names.ts";
import type {
  AccessKeyRecord,
  BucketSettings,
  CompletedUpload,
  Dot,
  EncryptionEnvelope,
  ObjectAttributes,
  ObjectChange,
  ObjectRecord,
  PartRecord,
  PartSummary,
  StoredChecksum,
  UploadRecord,
} from "../core/records.ts";
import type { MemberSite, SiteRecord } from "../core/site-record.ts";
import type { Conflicts } from "./conflict-wishes.ts";
import type { ExpireOutcome, ExpireRequest } from "./lifecycle/expire-request.ts";
import type { KeyUsage, Quotas } from "./local-quotas.ts";
import type { LogicalRows } from "./logical-rows.ts";
import type { RemoteBodies } from "./remote-bodies.ts";
import type { BringManifests, Replica } from "./replica.ts";
import type { HouseReport, StoreStats, Usage } from "./store-figures.ts";
import type {
  BodyReader,
  BodyWriter,
  ByteRange,
  ListedVersion,
  ObjectCursor,
  StagedBody,
  StoredBucket,
  StoredObject,
  StoredVersion,
  UploadCursor,
  VersionCursor,
} from "./stored.ts";

export type { HouseReport, StoreStats, Usage } from "./store-figures.ts";
export type {
  BodyReader,
  BodyWriter,
  ByteRange,
  ListedRow,
  ListedVersion,
  ObjectCursor,
  StagedBody,
  StoredBucket,
  StoredObject,
  StoredVersion,
  UploadCursor,
  VersionCursor,
} from "./stored.ts";

/**
 * The public face of storage. Reads are synchronous and see everything that has been acknowledged.
 * A write resolves when it is durable and visible; expected refusals are outcomes, and a rejection
 * is a StorageFault.
 */
export interface Store {
  // Buckets
  bucket(name: BucketName): StoredBucket | undefined;
  /** Existing buckets in name order, starting after `after` when given. */
  buckets(after?: string): Iterable<StoredBucket>;
  createBucket(request: CreateBucketRequest): Promise<CreateBucketOutcome>;
  /** Changes one setting of a bucket, or removes it. */
  putBucketSetting(request: PutBucketSettingRequest): Promise<PutBucketSettingOutcome>;
  deleteBucket(name: BucketName): Promise<DeleteBucketOutcome>;

  // Objects
  object(bucket: BucketName, key: ObjectKey): StoredObject | undefined;
  /** The newest version of a key, delete markers included. */
  currentVersion(bucket: BucketName, key: ObjectKey): StoredVersion | undefined;
  /** One version by its id; "null" is the one that was written without versioning. */
  version(bucket: BucketName, key: ObjectKey, id: VersionId | "null"): StoredVersion | undefined;
  /** Every version and delete marker: keys in order (unsigned UTF-8 bytes), newest first. */
  versions(bucket: BucketName): VersionCursor;
  /** The same walk, with what a listing shows of each. */
  listedVersions(bucket: BucketName): VersionCursor<ListedVersion>;
  /** Changes what is said about a version: tags, retention, legal hold, encryption envelope. */
  changeObject(request: ChangeObjectRequest): Promise<ChangeOutcome>;
  /** Existing objects of a bucket in key order (unsigned UTF-8 bytes). */
  objects(bucket: BucketName): ObjectCursor;
  /**
   * Small and warm bodies come back whole; `undefined` means: use `openBody`. Bytes are verified.
   * They stay as they are for as long as somebody has them, and nobody may change them.
   */
  readSmallBody(object: StoredObject, range: ByteRange): Uint8Array | undefined;
  /** Verified slices of a body, in order. Close it when done, however it ends. */
  openBody(object: StoredObject, range: ByteRange): BodyReader;
  /** Begins a body of more than LIMITS.inlineBodyBytesMax, or of unknown length. */
  stageBody(): Promise<BodyWriter>;
  putObject(request: PutObjectRequest): Promise<PutOutcome>;
  /** Writes behind the end of an object, or begins one at offset 0. */
  appendObject(request: AppendObjectRequest): Promise<AppendOutcome>;
  /** Gives an object another key of its bucket. */
  renameObject(request: RenameObjectRequest): Promise<RenameOutcome>;
  deleteObject(request: DeleteObjectRequest): Promise<DeleteOutcome>;
  /** Deletes of one request share a commit; outcomes in the order of the requests. */
  deleteObjects(requests: readonly DeleteObjectRequest[]): Promise<DeleteOutcome[]>;

  /** Carries out what a lifecycle wants of versions, as far as each still is what was judged. */
  expireVersions(requests: readonly ExpireRequest[]): Promise<ExpireOutcome[]>;

  // Multipart
  upload(bucket: BucketName, key: ObjectKey, uploadId: UploadId): UploadRecord | undefined;
  /** Uploads of a bucket in order of key, then upload id (which is order of creation). */
  uploads(bucket: BucketName): UploadCursor;
  /** Parts in order of number, starting after `after`. */
  parts(uploadId: UploadId, after: number): Iterable<PartRecord>;
  completedUpload(uploadId: UploadId): CompletedUpload | undefined;
  createUpload(request: CreateUploadRequest): Promise<CreateUploadOutcome>;
  putPart(request: PutPartRequest): Promise<PutPartOutcome>;
  completeUpload(request: CompleteUploadRequest): Promise<CompleteOutcome>;
  abortUpload(bucket: BucketName, key: ObjectKey, uploadId: UploadId): Promise<AbortOutcome>;

  // Access keys
  accessKey(id: AccessKeyId): AccessKeyRecord | undefined;
  accessKeys(): Iterable<AccessKeyRecord>;
  putAccessKey(record: AccessKeyRecord): Promise<void>;
  /** Seals a key's secret anew; `reseal` is called in the commit. Whether anything changed. */
  resealAccessKey(
    id: AccessKeyId,
    reseal: (sealed: Uint8Array) => Uint8Array | undefined,
  ): Promise<boolean>;

  // Sites
  /** A member of the cluster, this site included, also one that was removed. */
  site(id: SiteId): MemberSite | undefined;
  /** Every member by id, removed ones too. */
  sites(): readonly MemberSite[];
  /** Says what a site is; incarnations known of it are kept. */
  putSite(record: SiteRecord): Promise<void>;

  /** Writes that lost to others which did not know of them. */
  readonly conflicts: Conflicts;
  /** Bodies of which bytes stand at other sites only. */
  readonly remote: RemoteBodies;
  /** The log as other sites see it. */
  readonly replica: Replica;
  /** What the store says row by row, for bootstrap and comparison. */
  readonly rows: LogicalRows;

  // Watching and keeping house
  stats(): StoreStats;
  /**
   * The last operation of this site's own log that has been acknowledged; undefined before the
   * first. The same object until there is a later one. Costs a look-up.
   */
  logHead(): (Dot & { readonly hlc: Hlc }) | undefined;
  bucketUsage(name: BucketName): Usage;
  /** Whether an object of so many bytes has no room in its bucket; the commit judges again. */
  overQuota(name: ObjectName, bytes: number): OverQuota | undefined;
  /** The most that buckets, and all buckets of a key, may hold at this site. */
  readonly quotas: Quotas;
  keyUsage(id: AccessKeyId): KeyUsage;
  /** Seals idle segments, drops dead ones, forgets old upload results, takes checkpoints. */
  keepHouse(): Promise<HouseReport>;
  /** Waits for writes under way, syncs, marks a clean shutdown. Later writes are refused. */
  close(): Promise<void>;
}

/** What a write may demand of the current object; judged in the commit. ETags without quotes. */
export type WriteConditions = {
  /** Any of these, or "*" for any object. Absent object: refused as "no-such-key". */
  readonly ifMatch?: readonly string[];
  /** None of these, or "*" for no object at all. */
  readonly ifNoneMatch?: readonly string[];
  readonly ifSize?: number;
  readonly ifLastModifiedMs?: number;
};

export type PutObjectRequest = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly object: Omit<ObjectRecord, "body" | "lastModifiedMs">;
  readonly body:
    | { readonly kind: "inline"; readonly bytes: Uint8Array }
    | { readonly kind: "staged"; readonly staged: StagedBody }
    /** Shares another object's chunks; refused as "source-gone" when it has been removed. */
    | { readonly kind: "shared"; readonly source: StoredObject };
  readonly conditions?: WriteConditions;
};

export type Refusal =
  | { readonly outcome: "no-such-bucket" }
  | { readonly outcome: "precondition-failed"; readonly condition: string }
  | { readonly outcome: "no-such-key" }
  /** Retention or a legal hold forbids it. */
  | { readonly outcome: "locked" }
  /** It would have no effect yet: `ahead-of-log.ts` says why. */
  | { readonly outcome: "ahead-of-log" };

export type ObjectName = { readonly bucket: BucketName; readonly key: ObjectKey };

/** More would be stored than a quota allows: the most bytes, or objects and versions. */
export type OverQuota = {
  readonly outcome: "over-quota";
  /** That of the bucket, or that of all buckets of the key which made it. */
  readonly whose: "bucket" | "creator";
  readonly what: "bytes" | "objects";
  readonly most: number;
};

export type PutOutcome =
  | { readonly outcome: "stored"; readonly stored: StoredObject }
  | { readonly outcome: "source-gone" }
  | OverQuota
  | Refusal;

export type AppendObjectRequest = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  /** The size that the object must have; 0 without one. */
  readonly offset: number;
  readonly body: Extract<PutObjectRequest["body"], { kind: "inline" | "staged" }>;
  /** What the new version is, after the current one; called in the commit, and may refuse. */
  readonly describe: (current: ObjectRecord | undefined) => PutObjectRequest["object"];
  readonly conditions?: WriteConditions;
};

export type AppendOutcome =
  | { readonly outcome: "stored"; readonly stored: StoredObject }
  | { readonly outcome: "invalid-offset"; readonly size: number }
  /** It was replaced again and again while it was read. */
  | { readonly outcome: "conflict" }
  | OverQuota
  | Refusal;

export type RenameObjectRequest = {
  readonly bucket: BucketName;
  readonly source: ObjectKey;
  /** What it is called afterwards. */
  readonly key: ObjectKey;
  /** About what stands at the new key. */
  readonly conditions?: WriteConditions;
  /** About the object itself: the name of a condition that it does not meet. */
  readonly sourceConditions?: (source: ObjectRecord) => string | undefined;
  /** A retry with the token of a rename that was done, and the same keys, changes nothing. */
  readonly token: string | undefined;
  /** What keeps a version that brings no retention of its own: the default of the bucket. */
  readonly lock?: ObjectRecord["lock"];
};

export type RenameOutcome =
  | { readonly outcome: "renamed" }
  /** The token was given to another rename. */
  | { readonly outcome: "token-mismatch" }
  | { readonly outcome: "conflict" }
  | OverQuota
  | Refusal;

export type DeleteObjectRequest = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  /** Removes this version for good; without it the bucket's versioning decides. */
  readonly version?: VersionId | "null";
  /** The caller may pass over governance retention, and wants to. */
  readonly bypassGovernance?: boolean;
  /** Judged against the current version, whichever is named. */
  readonly conditions?: WriteConditions;
};

/** Deleting what is not there succeeds, as S3 has it; `existed` tells whether it was there. */
export type DeleteOutcome =
  | {
      readonly outcome: "deleted";
      readonly existed: boolean;
      /** The delete marker that now stands on top. */
      readonly deleteMarker: VersionId | "null" | undefined;
      /** The version that was removed was a delete marker. */
      readonly removedMarker: boolean;
      /** The version that the request named. */
      readonly version: VersionId | "null" | undefined;
    }
  | Refusal;

export type ChangeObjectRequest = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  /** Without it, the current version. */
  readonly version?: VersionId | "null";
  /**
   * The id under which that version was written, the null version included: one that has come in
   * its place since is refused as "no-such-version".
   */
  readonly writtenAs?: VersionId;
  readonly change: RequestedChange;
  readonly conditions?: WriteConditions;
};

export type RequestedChange =
  | Exclude<ObjectChange, { kind: "retention" }>
  | (Extract<ObjectChange, { kind: "retention" }> & { readonly bypassGovernance: boolean });

/** "delete-marker": there is nothing about a marker that could be changed. */
export type ChangeOutcome =
  | { readonly outcome: "changed"; readonly object: StoredObject }
  | { readonly outcome: "no-such-version" }
  | { readonly outcome: "delete-marker"; readonly version: VersionId; readonly isNull: boolean }
  | Refusal;

export type CreateBucketRequest = {
  readonly name: BucketName;
  readonly owner: string;
  /** Settings that the bucket has from its first moment on. */
  readonly settings?: BucketSettings;
};

export type PutBucketSettingRequest = {
  readonly bucket: BucketName;
  readonly name: string;
  /** Undefined removes the setting. */
  readonly value: Uint8Array | undefined;
};

/** "refused": versioning and object lock do not go back to where they were before. */
export type PutBucketSettingOutcome = {
  readonly outcome: "stored" | "no-such-bucket" | "refused";
};

export type CreateBucketOutcome =
  | { readonly outcome: "created" }
  | { readonly outcome: "exists"; readonly bucket: StoredBucket };

export type DeleteBucketOutcome = {
  readonly outcome: "deleted" | "no-such-bucket" | "not-empty" | "ahead-of-log";
};

export type CreateUploadRequest = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly initiator: string;
  readonly attributes: ObjectAttributes;
  readonly encryption: EncryptionEnvelope | undefined;
  readonly lock?: UploadRecord["lock"];
  readonly checksum: UploadRecord["checksum"];
};

export type CreateUploadOutcome =
  | { readonly outcome: "created"; readonly upload: UploadRecord }
  | { readonly outcome: "no-such-bucket" };

export type PutPartRequest = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly uploadId: UploadId;
  readonly partNumber: number;
  readonly etag: string;
  readonly checksums: readonly StoredChecksum[];
  readonly body: { readonly kind: "staged"; readonly staged: StagedBody };
  /** What the part adds to its object, when that is not what is stored: bytes of plaintext. */
  readonly size?: number;
};

export type PutPartOutcome =
  | { readonly outcome: "stored"; readonly part: PartRecord }
  | { readonly outcome: "no-such-upload" }
  | { readonly outcome: "no-such-bucket" };

export type CompleteUploadRequest = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly uploadId: UploadId;
  /** Ascending part numbers as the client listed them, with what it said about each. */
  readonly parts: ReadonlyArray<{
    readonly partNumber: number;
    readonly etag: string;
    readonly checksums: readonly StoredChecksum[];
  }>;
  /** Computes the object's checksums from its parts; undefined when they do not allow it. */
  readonly combine: (parts: readonly PartSummary[], upload: UploadRecord) => StoredChecksum[];
  /** The lock of the object, which is created then; without it, that of the upload. */
  readonly lock?: (upload: UploadRecord, createdMs: number) => ObjectRecord["lock"];
  /** Makes the object's envelope out of the upload's; for an upload that is encrypted. */
  readonly seal?: (parts: readonly PartSummary[], upload: UploadRecord) => EncryptionEnvelope;
  readonly conditions?: WriteConditions;
  /** The upload is another site's, and not here. */
  readonly brought?: BroughtUpload & { readonly bring: BringManifests };
};

export type CompleteOutcome =
  | { readonly outcome: "stored"; readonly stored: StoredObject }
  /** This upload was completed before: the answer of that time. */
  | { readonly outcome: "already-completed"; readonly completed: CompletedUpload }
  | { readonly outcome: "no-such-upload" }
  | { readonly outcome: "invalid-part"; readonly partNumber: number }
  | { readonly outcome: "part-too-small"; readonly partNumber: number; readonly size: number }
  | OverQuota
  | Refusal;

export type AbortOutcome = { readonly outcome: "aborted" | "no-such-upload" | "no-such-bucket" };
