import { VERSIONING_SETTING } from "../../core/bucket-versioning.ts";
import type { BucketName, ObjectKey, VersionId } from "../../core/names.ts";
import type { BucketSettings } from "../../core/records.ts";
import type { StoredObject, StoredVersion } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { formatHttpDate } from "../headers/dates.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { type VersionRef, versionOf } from "../headers/version-ref.ts";
import { hiddenAbsence } from "../incomplete-site.ts";
import type { Call, HandlerDeps, ObjectCall } from "../operation.ts";

type DeleteMarker = Extract<StoredVersion, { kind: "delete-marker" }>;
type Place = { readonly bucket: BucketName; readonly key: ObjectKey };

/** How clients see the id of a version: what was written without versioning is "null". */
export function shownVersionId(version: {
  readonly isNull: boolean;
  readonly version: VersionId;
}): VersionRef {
  return version.isNull ? "null" : version.version;
}

/**
 * The object of a read: the version that the request names, or the current one. A caller who may
 * not list is not told whether there is one.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/RetrievingObjectVersions.html
 */
export function existingObject(call: ObjectCall, deps: HandlerDeps): StoredObject {
  const ref = versionOf(call.query);
  if (ref !== undefined) return namedObject(call, deps, ref);
  const object = deps.store.object(call.bucket, call.key);
  if (object !== undefined) return object;
  const marker = currentMarker(deps, call, call.bucketSettings);
  throw absentKey(call, deps, call, marker);
}

/**
 * The object that a request changes without replacing it (tags, ACL, retention). As for reads,
 * but that nothing can be changed about a delete marker, whether it is named or current.
 */
export function changeableObject(call: ObjectCall, deps: HandlerDeps): StoredObject {
  if (!call.query.has("versionId")) {
    const marker = currentMarker(deps, call, call.bucketSettings);
    if (marker !== undefined) throw notForMarkers(call, [["Allow", "DELETE"]]);
  }
  return existingObject(call, deps);
}

/** The source of a copy, which cannot be a delete marker. */
export function copiedObject(
  call: Call,
  deps: HandlerDeps,
  source: Place & {
    readonly version: VersionRef | undefined;
    readonly settings: BucketSettings;
  },
): StoredObject {
  const { bucket, key, version } = source;
  if (version !== undefined) {
    const found = deps.store.version(bucket, key, version) ?? conflictOf(deps, source, version);
    if (found === undefined) throw absentVersion(call, deps, source, version);
    if (found.kind === "object") return found.object;
    throw new S3Error("InvalidRequest", {
      message:
        "The source of a copy request may not specifically refer to a delete marker by version id.",
    });
  }
  const object = deps.store.object(bucket, key);
  if (object !== undefined) return object;
  const marker = currentMarker(deps, source, source.settings);
  throw absentKey(call, deps, source, marker);
}

function namedObject(call: ObjectCall, deps: HandlerDeps, ref: VersionRef): StoredObject {
  const found = deps.store.version(call.bucket, call.key, ref) ?? conflictOf(deps, call, ref);
  if (found === undefined) throw absentVersion(call, deps, call, ref);
  if (found.kind === "object") return found.object;
  throw notForMarkers(call, [
    ["Allow", "DELETE"],
    ["Last-Modified", formatHttpDate(found.deletedMs)],
    ...markerHeaders(found),
  ]);
}

/** A write that lost to one which did not know of it; it is in no list of versions. */
function conflictOf(
  { store }: HandlerDeps,
  { bucket, key }: Place,
  ref: VersionRef,
): { readonly kind: "object"; readonly object: StoredObject } | undefined {
  const object = ref === "null" ? undefined : store.conflicts.find(bucket, key, ref);
  return object === undefined ? undefined : { kind: "object", object };
}

/** The delete marker of a key that seems deleted; a bucket that was never versioned has none. */
function currentMarker(
  deps: HandlerDeps,
  { bucket, key }: Place,
  settings: BucketSettings,
): DeleteMarker | undefined {
  if (!settings.has(VERSIONING_SETTING)) return undefined;
  const current = deps.store.currentVersion(bucket, key);
  return current?.kind === "delete-marker" ? current : undefined;
}

function markerHeaders(marker: DeleteMarker): HeaderLines {
  return [
    ["x-amz-delete-marker", "true"],
    ["x-amz-version-id", shownVersionId(marker)],
  ];
}

function notForMarkers(call: ObjectCall, headers: HeaderLines): S3Error {
  const fields = { Method: call.exchange.method, ResourceType: "DeleteMarker" };
  return new S3Error("MethodNotAllowed", { fields, headers });
}

function absentKey(
  call: Call,
  deps: HandlerDeps,
  place: Place,
  marker: DeleteMarker | undefined,
): S3Error {
  if (!call.allows("s3:ListBucket", place.bucket)) return hiddenAbsence(deps);
  const fields = { Key: place.key };
  const told = marker === undefined ? { fields } : { fields, headers: markerHeaders(marker) };
  return new S3Error("NoSuchKey", told);
}

function absentVersion(call: Call, deps: HandlerDeps, place: Place, ref: VersionRef): S3Error {
  if (!call.allows("s3:ListBucket", place.bucket)) return hiddenAbsence(deps);
  return new S3Error("NoSuchVersion", { fields: { Key: place.key, VersionId: ref } });
}

/**
 * `x-amz-version-id` of a read or a change. A bucket that was never versioned does not speak of
 * versions, not even when the request does.
 */
export function pushVersionId(lines: HeaderLines, call: ObjectCall, object: StoredObject): void {
  if (object.conflict === true) lines.push(["x-atoll-conflict", "true"]);
  if (!object.isNull) {
    lines.push(["x-amz-version-id", object.version]);
  } else if (call.bucketSettings.has(VERSIONING_SETTING)) {
    lines.push(["x-amz-version-id", "null"]);
  }
}

/**
 * `x-amz-version-id` of a write: AWS names the version that was made, and says nothing of one that
 * took the place of the null version, not even while versioning is suspended.
 */
export function pushStoredVersionId(lines: HeaderLines, stored: StoredObject): void {
  if (!stored.isNull) lines.push(["x-amz-version-id", stored.version]);
}
