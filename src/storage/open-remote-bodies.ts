import { type ContentHash, parseContentHash } from "../core/names.ts";
import type { RemoteManifest } from "../core/remote-record.ts";
import { takeRemote } from "./incoming-bytes.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { RemoteBodies } from "./remote-bodies.ts";
import { showsRowsFirst } from "./remote-manifests.ts";
import type { StoreParts } from "./store-parts.ts";

/** Bodies of which bytes are missing, over the parts of a store. */
export function createRemoteBodies(parts: StoreParts): RemoteBodies {
  const { index, bodies } = parts;
  const { remote } = bodies;
  return {
    showsRowsFirst: (bucket) => showsRowsFirst(index, bucket),
    bucketChanges: () => index.bucketChanges,
    sum: () => remote.sum(),
    isRemote: (object) => remote.isRemote(object),
    bringFrom: (source) => remote.bringFrom(source),
    bring: (object) => remote.bring(object),
    list: (after, max) => listRemote(parts, after, max),
    find: (hash) => {
      const row = index.get(TABLES.remote, hash);
      return row === undefined ? undefined : { hash, bytes: row.bytes, buckets: row.buckets };
    },
    take: (manifests) => takeRemote(parts, manifests),
  };
}

/** Manifests that are missing here, in order of their hash, from behind one on. */
function listRemote(
  { kv, hash }: Pick<StoreParts, "kv" | "hash">,
  after: ContentHash | undefined,
  max: number,
): readonly RemoteManifest[] {
  const { prefix } = TABLES.remote;
  const range = { gt: indexKey(prefix, after ?? ""), lt: indexKey(prefix, "~") };
  const found: RemoteManifest[] = [];
  for (const { key, value } of kv.range(range)) {
    const { bytes, buckets } = decodeRow(TABLES.remote, value, hash.crc32);
    const name = parseContentHash(Buffer.from(key).toString("latin1", prefix.length));
    if (name !== undefined) found.push({ hash: name, bytes, buckets });
    if (found.length === max) break;
  }
  return found;
}
