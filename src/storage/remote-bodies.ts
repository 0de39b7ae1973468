import type { BucketName, ContentHash, OriginId } from "../core/names.ts";
import type { ManifestRef } from "../core/records.ts";
import type { RemoteManifest } from "../core/remote-record.ts";
import type { IncomingManifest } from "./replica.ts";
import type { StoredObject } from "./stored.ts";

/**
 * Fetches what a manifest lists, and stores it; `writer` is the origin that wrote the object, whose
 * site is the likeliest to have it. Resolves once it is durable and visible here.
 *
 * @throws StorageFault "unreachable" when it cannot be had now, or takes longer than clients wait.
 */
export type BytesSource = (manifest: ManifestRef, writer: OriginId) => Promise<void>;

/** What this store names of bodies, and lacks. */
export type RemoteSum = { readonly manifests: number; readonly bytes: number };

/**
 * Bodies of which bytes stand at other sites only, in buckets that show rows first. What they are
 * follows from the log; small bodies are never among them.
 */
export interface RemoteBodies {
  /** Whether a bucket shows rows before their bytes are here. */
  showsRowsFirst(bucket: BucketName): boolean;
  /** Another number after every change of a bucket. */
  bucketChanges(): number;
  /** All that is missing here, exactly. */
  sum(): RemoteSum;
  /** Whether any byte of a body is missing here. One look-up where nothing is missing at all. */
  isRemote(object: StoredObject): boolean;
  /** From now on bytes that are missing are fetched by this, when they are read. */
  bringFrom(source: BytesSource): void;
  /** Fetches all of a body that is missing here. @throws StorageFault "unreachable". */
  bring(object: StoredObject): Promise<void>;
  /** Manifests that are missing here, in order of hash, from behind one on. */
  list(after: ContentHash | undefined, max: number): readonly RemoteManifest[];
  /** What is missing of one; undefined when nothing is, or nothing names it. */
  find(hash: ContentHash): RemoteManifest | undefined;
  /**
   * Takes in manifests that were missing, with what was staged for them; gives how many of them
   * were missing still. @throws StorageFault "disk-full" or "busy".
   */
  take(manifests: readonly IncomingManifest[]): Promise<number>;
}
