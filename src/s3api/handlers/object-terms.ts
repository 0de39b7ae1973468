import type { StoredObject } from "../../storage/store.ts";
import { pushExpiration } from "../headers/lifecycle-headers.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { ObjectCall } from "../operation.ts";

/**
 * Until when a version is kept, for GET and HEAD. Costs one look-up for an object in a bucket
 * without a lifecycle. Only what is current expires: who names a version is told nothing of it.
 */
export function pushTerms(lines: HeaderLines, call: ObjectCall, { record }: StoredObject): void {
  if (!call.query.has("versionId")) {
    pushExpiration(lines, call.bucketSettings, call.key, record);
  }
}
