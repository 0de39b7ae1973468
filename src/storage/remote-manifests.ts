import { isMetadataFirst } from "../core/metadata-first.ts";
import type { BucketName, ContentHash } from "../core/names.ts";
import type { BodyRef, Operation } from "../core/records.ts";
import { REMOTE_BUCKETS_MAX, type RemoteManifest } from "../core/remote-record.ts";
import type { OpenBatch } from "./batch.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import { findBucket } from "./store-parts.ts";

/** Whether a bucket shows rows before their bytes are here. */
export function showsRowsFirst(view: RowReader, bucket: BucketName): boolean {
  const found = findBucket(view, bucket);
  return found !== undefined && isMetadataFirst(found.settings);
}

/** Whether the rows of an operation may be shown although bytes that they name are not here. */
export function mayStayRemote({ context: { view } }: OpenBatch, { body }: Operation): boolean {
  if (body.kind !== "object-put" || body.object.body.kind === "inline") return false;
  return showsRowsFirst(view, body.bucket);
}

/** Says, in front of an operation, which of the manifests that it names are not here. */
export function sayRemote(batch: OpenBatch, { body }: Operation): void {
  if (body.kind !== "object-put" || body.object.body.kind === "inline") return;
  const { view } = batch.context;
  const missing = new Map<ContentHash, RemoteManifest>();
  for (const { hash, bytes } of body.object.body.manifests) {
    if (view.get(TABLES.manifest, hash) !== undefined) continue;
    const known = view.get(TABLES.remote, hash)?.buckets ?? [];
    if (known.includes(body.bucket) || known.length >= REMOTE_BUCKETS_MAX) continue;
    missing.set(hash, { hash, bytes, buckets: [...known, body.bucket].sort() });
  }
  const manifests = [...missing.values()];
  if (manifests.length > 0) batch.local({ kind: "manifests-remote", manifests });
}

/** Whether a body names what is not here: then it must not be named once more. */
export function namesMissing(view: RowReader, body: BodyRef | undefined): boolean {
  if (body === undefined || body.kind === "inline") return false;
  return body.manifests.some(({ hash }) => view.get(TABLES.manifest, hash) === undefined);
}
