import type { Hlc } from "./hlc.ts";
import type {
  AccessKeyId,
  BucketName,
  ContentHash,
  ObjectKey,
  OriginId,
  Seq,
  SiteId,
  UploadId,
  VersionId,
} from "./names.ts";
import type { ObjectLock, Retention } from "./object-lock-state.ts";
import type { OriginRecord } from "./origin-records.ts";
import type { RemoteRecord } from "./remote-record.ts";
import type { SiteRecord } from "./site-record.ts";

/** Where an operation came from: its origin and its position in that origin's log. */
export type Dot = { readonly origin: OriginId; readonly seq: Seq };

/** Names a write: its dot, and the clock reading that decides between writes. */
export type WriteStamp = Dot & { readonly hlc: Hlc };

/** How far each origin's operations have been applied. */
export type Vector = ReadonlyMap<OriginId, Seq>;

export const CHECKSUM_ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** One stored checksum of an object or part, base64 as S3 shows it (with `-N` when composite). */
export type StoredChecksum = {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: "FULL_OBJECT" | "COMPOSITE";
  readonly value: string;
};

/**
 * What a client said about an object, kept byte for byte. `system` holds the response headers S3
 * gives back by name ("content-type", "cache-control", "content-disposition", "content-encoding",
 * "content-language", "expires", "x-amz-website-redirect-location"), lower case; `user` holds
 * `x-amz-meta-` names (without the prefix, lower case) and values. Both sorted by name.
 */
export type ObjectAttributes = {
  readonly system: ReadonlyArray<readonly [string, string]>;
  readonly user: ReadonlyArray<readonly [string, string]>;
  readonly storageClass: string | undefined;
  readonly tags: ReadonlyArray<readonly [string, string]>;
};

/** How an object's body is encrypted; opaque to everything below s3api. */
export type EncryptionEnvelope = Uint8Array;

/** A content-addressed list of chunks that a part or large body consists of. */
export type ManifestRef = { readonly hash: ContentHash; readonly bytes: number };

/**
 * Where the bytes are: `inline` in the same batch as the operation, or in manifests, in order. An
 * empty body is inline with no bytes.
 */
export type BodyRef =
  | { readonly kind: "inline"; readonly bytes: number }
  | { readonly kind: "manifests"; readonly manifests: readonly ManifestRef[] };

/** One version of an object as every site knows it. */
export type ObjectRecord = {
  readonly size: number;
  /** Without quotes: MD5 in hex, or `md5(md5s)-N` of a multipart object. */
  readonly etag: string;
  /** Unix milliseconds, set by the origin. */
  readonly lastModifiedMs: number;
  readonly attributes: ObjectAttributes;
  readonly checksums: readonly StoredChecksum[];
  /** Sizes of the parts of a multipart object, in order; empty otherwise. */
  readonly parts: readonly PartSummary[];
  readonly encryption: EncryptionEnvelope | undefined;
  /** Absent: this version was never put under retention or legal hold. */
  readonly lock?: ObjectLock | undefined;
  readonly body: BodyRef;
};

/** What may be changed about a version that exists. Its bytes never change. */
export type ObjectChange =
  | { readonly kind: "tags"; readonly tags: ObjectAttributes["tags"] }
  | { readonly kind: "retention"; readonly retention: Retention | undefined }
  | { readonly kind: "legal-hold"; readonly on: boolean }
  /** The name of a canned ACL, "" for none. */
  | { readonly kind: "acl"; readonly acl: string }
  /** The body's key is wrapped anew; the body stays as it is. */
  | { readonly kind: "encryption"; readonly envelope: EncryptionEnvelope };

/** What GET with `partNumber` and GetObjectAttributes need to know about a part. */
export type PartSummary = {
  readonly partNumber: number;
  readonly size: number;
  readonly checksums: readonly StoredChecksum[];
};

/** Settings of a bucket by name ("versioning", "policy"); values as their handler encodes them. */
export type BucketSettings = ReadonlyMap<string, Uint8Array>;

export type AccessKeyState = "active" | "disabled" | "revoked";

/** An access key as stored and replicated; the secret is sealed under the cluster key ring. */
export type AccessKeyRecord = {
  readonly id: AccessKeyId;
  readonly state: AccessKeyState;
  readonly name: string;
  readonly sealedSecret: Uint8Array;
  /** Inline policies in AWS's JSON, by name. */
  readonly policies: ReadonlyArray<readonly [string, string]>;
  readonly createdMs: number;
};

/** Every change a site makes or receives. Kinds are numbered in `operation-codec.ts`, for ever. */
export type OperationBody =
  | {
      readonly kind: "object-put";
      readonly bucket: BucketName;
      readonly key: ObjectKey;
      /** True: the unversioned (null) slot of the key. Never inferred from bucket settings. */
      readonly nullSlot: boolean;
      readonly object: ObjectRecord;
      /** The write of the null slot that it replaced, at sites that knew of other origins. */
      readonly prior?: WriteStamp | undefined;
      /** Only in rows: a write that lost to one that did not know of it, and is kept. */
      readonly conflict?: true | undefined;
    }
  | {
      readonly kind: "object-delete";
      readonly bucket: BucketName;
      readonly key: ObjectKey;
      /** False: the delete makes a version of its own, a delete marker. */
      readonly nullSlot: boolean;
      /** The null slot holds a delete marker afterwards; without it, nothing. */
      readonly nullMarker: boolean;
      readonly deletedMs: number;
      /** As of an object-put. */
      readonly prior?: WriteStamp | undefined;
      /**
       * The clock reading at which the delete stands, when that is not its own. A delete marker:
       * right on top of the version that expired, whatever was written since; of those that several
       * sites make, one stays. In the null slot: where the delete stands that is said again.
       */
      readonly standsAt?: Hlc | undefined;
    }
  | {
      readonly kind: "bucket-create";
      readonly bucket: BucketName;
      readonly createdMs: number;
      readonly owner: string;
    }
  | { readonly kind: "bucket-delete"; readonly bucket: BucketName; readonly deletedMs: number }
  | {
      readonly kind: "bucket-setting";
      readonly bucket: BucketName;
      readonly name: string;
      readonly value: Uint8Array | undefined;
    }
  | { readonly kind: "access-key-put"; readonly accessKey: AccessKeyRecord }
  | {
      /** Removes one version for good; the null slot is emptied by an object-delete instead. */
      readonly kind: "version-delete";
      readonly bucket: BucketName;
      readonly key: ObjectKey;
      readonly version: VersionId;
    }
  | {
      readonly kind: "object-meta";
      readonly bucket: BucketName;
      readonly key: ObjectKey;
      /** The write that is changed, also where it stands in the null slot. */
      readonly version: VersionId;
      readonly nullSlot: boolean;
      readonly change: ObjectChange;
    }
  /** Settles a conflict at every site. */
  | {
      readonly kind: "conflict-resolve";
      readonly bucket: BucketName;
      readonly key: ObjectKey;
      readonly write: WriteStamp;
    }
  /** Says what a member of the cluster is, or that it is a member no more. */
  | { readonly kind: "site-put"; readonly site: SiteRecord };

export type OperationKind = OperationBody["kind"];

/** An operation with its envelope, as it stands in the log and travels between sites. */
export type Operation = {
  readonly dot: Dot;
  readonly hlc: Hlc;
  /** Hash chain of this origin's log before this operation: 32 bytes, zero before the first. */
  readonly chainBefore: Uint8Array;
  /**
   * What the origin had received of others: whole in the first operation of a batch (`full`), and
   * what changed since the operation before it in the rest.
   */
  readonly vector: { readonly full: boolean; readonly entries: Vector };
  /** Operations that are applied all or none carry the same group id and their count. */
  readonly group: { readonly id: string; readonly count: number } | undefined;
  readonly body: OperationBody;
  /** Optional fields a newer program wrote; kept byte for byte. Ascending tags. */
  readonly unknownFields: ReadonlyArray<{ readonly tag: number; readonly bytes: Uint8Array }>;
};

/** One chunk of a manifest. */
export type ManifestChunk = { readonly hash: ContentHash; readonly bytes: number };

/** Where a chunk lies in this site's segments, with the CRC-32 of each of its slices. */
export type ChunkPlace = {
  readonly segment: number;
  /** Offset of the payload in the file. */
  readonly offset: number;
  readonly bytes: number;
  readonly sliceCrcs: readonly number[];
};

/** Attributes of an upload, fixed when it is created. */
export type UploadRecord = {
  readonly uploadId: UploadId;
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly createdMs: number;
  readonly initiator: string;
  readonly attributes: ObjectAttributes;
  readonly encryption: EncryptionEnvelope | undefined;
  readonly lock?: ObjectLock | undefined;
  readonly checksum:
    | { readonly algorithm: ChecksumAlgorithm; readonly type: "FULL_OBJECT" | "COMPOSITE" }
    | undefined;
};

export type PartRecord = {
  readonly uploadId: UploadId;
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly partNumber: number;
  readonly size: number;
  readonly etag: string;
  readonly lastModifiedMs: number;
  readonly checksums: readonly StoredChecksum[];
  readonly manifest: ManifestRef;
};

/** What a completed upload answered, so that a retry gets the same answer. */
export type CompletedUpload = {
  readonly uploadId: UploadId;
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly completedMs: number;
  readonly etag: string;
  readonly checksums: readonly StoredChecksum[];
  /** The version it made; undefined when that is the null version. */
  readonly version: VersionId | undefined;
};

/** A row that is removed without an operation, because it was removed elsewhere long ago. */
export type RowName = {
  /** `null`: the version in the null slot. `voided`: the mark that a version was removed. */
  readonly what: "version" | "null" | "tombstone" | "voided" | "conflict";
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  /** The write that made the row. */
  readonly stamp: VersionId;
  /** Of a voided row: the version that it speaks of. */
  readonly target?: VersionId | undefined;
};

/** Where an origin's log goes on, for a site that knows what came before as rows. */
export type LogStart = {
  readonly origin: OriginId;
  readonly seq: Seq;
  readonly hlc: Hlc;
  /** 32 bytes: the hash chain after that operation. */
  readonly chain: Uint8Array;
  /** What that operation's origin had received of others by then. */
  readonly vector: Vector;
};

/**
 * Durable state of this site only: outside the origin's sequence and chain, never replicated,
 * replayed and rebuilt like an operation.
 */
export type LocalRecord =
  | ConflictsRecord
  | DeletesRecord
  | OriginRecord
  | RemoteRecord
  | { readonly kind: "upload-create"; readonly upload: UploadRecord }
  | { readonly kind: "part-put"; readonly part: PartRecord }
  | {
      readonly kind: "upload-end";
      readonly uploadId: UploadId;
      readonly bucket: BucketName;
      readonly key: ObjectKey;
      /** Present when the upload was completed, absent when it was aborted. */
      readonly completed: CompletedUpload | undefined;
    }
  | {
      readonly kind: "chunks-placed";
      readonly chunks: ReadonlyArray<{ readonly hash: ContentHash; readonly place: ChunkPlace }>;
    }
  | {
      readonly kind: "segments-dropped";
      /** All segments ever dropped: first and last of each run, in pairs, ascending. */
      readonly segments: readonly number[];
      /** Where each origin's log begins now: operations up to `seq` may be gone. */
      readonly trimPoints: ReadonlyArray<{
        readonly origin: OriginId;
        readonly seq: Seq;
        readonly chain: Uint8Array;
      }>;
    }
  | { readonly kind: "results-expired"; readonly uploadIds: readonly UploadId[] }
  /**
   * First record of a commit-lane segment: where the batches of the one before it end. So a torn
   * footer is told from a torn batch, and nothing acknowledged is ever cut.
   */
  | { readonly kind: "log-continues"; readonly segment: number; readonly offset: number }
  | { readonly kind: "rows-removed"; readonly rows: readonly RowName[] }
  /** How far rows of another site have been taken over; the last one counts. */
  | {
      readonly kind: "bootstrap";
      readonly site: SiteId;
      /** Keeps what that site's log has beyond `heads`; empty while no site has given one. */
      readonly lease: string;
      /** Rows before this position have been taken over. */
      readonly position: string;
      /** How many rows that is. */
      readonly rows: number;
      /** Where that site's log stood before its first row was read. */
      readonly heads: readonly LogStart[];
      /** This site was whole before: what is not here meanwhile is not missing. */
      readonly merges?: true;
      /** Positions of rows before it whose bytes that site could not give. */
      readonly owed?: readonly string[];
    }
  /** Logs whose beginnings came as rows: this log has none of their operations up to there. */
  | {
      readonly kind: "floors";
      readonly heads: readonly LogStart[];
      /** Positions of rows of that time which are not here yet: their bytes could not be had. */
      readonly owed?: readonly string[];
    };

/**
 * The verdicts about writes of a key's null slot, logged in front of the operation that caused
 * them: `expected` is a conflict once it is not in the slot, `settled` is none whenever it arrives,
 * `ended` is none any more.
 */
export type ConflictsRecord = {
  readonly kind: "conflicts-judged";
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly verdicts: ReadonlyArray<{
    readonly verdict: "expected" | "settled" | "ended";
    readonly write: WriteStamp;
  }>;
};

/**
 * The verdicts about deletes of a version, logged in front of the operation that caused them. The
 * deleted version is `kept`, or kept no more (`ended`); a lock that was put on it elsewhere,
 * concurrently with a delete, makes that delete `void`.
 */
export type DeletesRecord = {
  readonly kind: "deletes-judged";
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly version: VersionId;
  readonly what: "kept" | "ended" | "void";
  /** The deletes that are void; else none. */
  readonly deletes: readonly WriteStamp[];
};

export type LocalRecordKind = LocalRecord["kind"];
