import type { UploadRecord } from "../../core/records.ts";
import type {
  ListedObject,
  ListedVersion,
  ObjectCursor,
  UploadCursor,
  VersionCursor,
} from "../../storage/store.ts";
import type { VersionRef } from "../headers/version-ref.ts";
import type { ListSource } from "./page.ts";

/** The objects of a bucket as a listing sees them. */
export function objectSource(cursor: ObjectCursor): ListSource<ListedObject> {
  let skip: string | undefined;
  return {
    next() {
      const object = cursor.next();
      if (skip === undefined || object === undefined) return object;
      const shown = skip === object.key;
      skip = undefined;
      return shown ? cursor.next() : object;
    },
    seek: (from) => cursor.seek(from),
    seekPast: (prefix) => cursor.seekPast(prefix),
    seekAfter(marker) {
      skip = marker;
      cursor.seek(marker);
    },
    nameOf: (object) => object.key,
    close: () => cursor.close(),
  };
}

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
