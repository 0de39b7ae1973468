import type { UploadRecord } from "../../core/records.ts";
import type { ListedVersion, UploadCursor, VersionCursor } from "../../storage/store.ts";
import type { VersionRef } from "../headers/version-ref.ts";
import type { ListSource } from "./page.ts";

/** The uploads of a bucket; without an upload id a marker passes every upload of its key. */
export function uploadSource(
  cursor: UploadCursor,
  uploadIdMarker: string | undefined,
): ListSource<UploadRecord> {
  return {
    next: () => cursor.next(),
    seek: (from) => cursor.seek(from),
    seekPast: (prefix) => cursor.seekPast(prefix),
    seekAfter: (marker) => cursor.seekAfter(marker, uploadIdMarker),
    nameOf: (upload) => upload.key,
    close: () => cursor.close(),
  };
}

/** The versions of a bucket; without a version a marker passes every version of its key. */
export function versionSource(
  cursor: VersionCursor<ListedVersion>,
  versionMarker: VersionRef | undefined,
): ListSource<ListedVersion> {
  return {
    next: () => cursor.next(),
    seek: (from) => cursor.seek(from),
    seekPast: (prefix) => cursor.seekPast(prefix),
    seekAfter: (marker) => cursor.seekAfter(marker, versionMarker),
    nameOf: (version) => version.key,
    close: () => cursor.close(),
  };
}
