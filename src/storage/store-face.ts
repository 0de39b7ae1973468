import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { OriginId, Seq } from "../core/names.ts";
import type { Log } from "../ports/log.ts";
import { findAccessKey, listAccessKeys, putAccessKey, resealAccessKey } from "./access-keys.ts";
import { appendObject } from "./append-object.ts";
import { createBucket, deleteBucket, listBuckets, putBucketSetting } from "./buckets.ts";
import type { CommitLane } from "./commit-lane.ts";
import { createConflicts } from "./conflicts.ts";
import { listParts, objectCursor, uploadCursor } from "./cursors.ts";
import { deleteObject, deleteObjects } from "./delete-objects.ts";
import type { House } from "./house.ts";
import { keyUsage } from "./key-usage.ts";
import { expireVersions } from "./lifecycle/expire.ts";
import { POSITION_KEY } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import { changeObject } from "./object-changes.ts";
import { findObject, putObject } from "./objects.ts";
import { createLogicalRows } from "./open-logical-rows.ts";
import { createRemoteBodies } from "./open-remote-bodies.ts";
import { createReplica } from "./open-replica.ts";
import type { OriginLogs } from "./origin-logs.ts";
import { openQuotas, overQuota } from "./quotas.ts";
import type { RecentBatches } from "./recent-batches.ts";
import { Renames } from "./rename-object.ts";
import type { Segments } from "./segment/segments.ts";
import { findSite, listSites, putSite } from "./sites.ts";
import { ChunkWriter } from "./staged-body.ts";
import type { BodyWriter, Store } from "./store.ts";
import { findBucket, type StoreParts } from "./store-parts.ts";
import { bucketUsage, readStats, type StatsDeps } from "./store-stats.ts";
import { abortUpload, completeUpload, createUpload, findUpload, putPart } from "./uploads.ts";
import { listedVersionCursor, versionCursor } from "./version-cursor.ts";
import { findCurrentVersion, findVersion } from "./versions.ts";

export type StoreFaceDeps = {
  readonly parts: StoreParts;
  readonly house: House;
  readonly stats: StatsDeps;
  readonly lane: CommitLane;
  readonly segments: Segments;
  readonly recent: RecentBatches;
  readonly origin: OriginId;
  readonly ownOrigins: ReadonlySet<OriginId>;
  readonly origins: OriginLogs;
  readonly ownSeq: () => Seq;
  readonly damaged: (segment: number, offset: number) => void;
  readonly log: Log;
  /** Resolves when no footer is being written. */
  readonly sealed: () => Promise<void>;
};

/** Puts the public face on the parts of the store. */
export function createStore(deps: StoreFaceDeps): Store {
  const { parts, house, stats } = deps;
  const { index, quotas } = parts;
  const stage = stageWriter(parts);
  const renames = new Renames(parts);
  const keeping = oneAtATime(() => house.keep());
  const replica = createReplica({ ...deps, stage });
  const remote = createRemoteBodies(parts);
  return {
    bucket: (name) => findBucket(index, name),
    buckets: (after) => listBuckets(parts, after),
    createBucket: (request) => createBucket(parts, request),
    putBucketSetting: (request) => putBucketSetting(parts, request),
    deleteBucket: (name) => deleteBucket(parts, name),

    object: (bucket, key) => findObject(parts, bucket, key),
    currentVersion: (bucket, key) => findCurrentVersion(index, { bucket, key }),
    version: (bucket, key, id) => findVersion(index, { bucket, key }, id),
    versions: (bucket) => versionCursor(parts, bucket),
    listedVersions: (bucket) => listedVersionCursor(parts, bucket),
    changeObject: (request) => changeObject(parts, request),
    objects: (bucket) => objectCursor(parts, bucket),
    readSmallBody: (object, range) => parts.bodies.readSmall(object, range),
    openBody: (object, range) => parts.bodies.open(object, range),
    stageBody: stage,
    putObject: (request) => putObject(parts, request),
    appendObject: (request) => appendObject({ parts, stage }, request),
    renameObject: (request) => renames.rename(request),
    deleteObject: (request) => deleteObject(parts, request),
    deleteObjects: (requests) => deleteObjects(parts, requests),
    expireVersions: (requests) => expireVersions(parts, requests),

    ...uploadFace(parts),
    ...memberFace(parts),

    conflicts: createConflicts(parts),
    replica,
    remote,
    rows: createLogicalRows(parts, remote, replica, deps.segments),

    stats: () => readStats(stats),
    logHead: () => index.get(TABLES.position, POSITION_KEY),
    bucketUsage: (name) => bucketUsage(parts, name),
    overQuota: (name, bytes) => overQuota({ view: index, quotas }, name, bytes),
    quotas: openQuotas({ view: index, quotas }),
    keyUsage: (id) => keyUsage(index, id),
    keepHouse: keeping.run,
    close: async () => {
      await keeping.stop();
      await closeParts(deps);
    },
  };
}

type UploadFace =
  | "upload"
  | "uploads"
  | "parts"
  | "completedUpload"
  | "createUpload"
  | "putPart"
  | "completeUpload"
  | "abortUpload";

function uploadFace(parts: StoreParts): Pick<Store, UploadFace> {
  const { index } = parts;
  return {
    upload: (bucket, key, uploadId) => findUpload(index, { bucket, key, uploadId }),
    uploads: (bucket) => uploadCursor(parts, bucket),
    parts: (uploadId, after) => listParts(parts, uploadId, after),
    completedUpload: (uploadId) => index.get(TABLES.result, uploadId)?.completed,
    createUpload: (request) => createUpload(parts, request),
    putPart: (request) => putPart(parts, request),
    completeUpload: (request) => completeUpload(parts, request),
    abortUpload: (bucket, key, uploadId) => abortUpload(parts, { bucket, key, uploadId }),
  };
}

type MemberFace =
  | "accessKey"
  | "accessKeys"
  | "putAccessKey"
  | "resealAccessKey"
  | "site"
  | "sites"
  | "putSite";

function memberFace(parts: StoreParts): Pick<Store, MemberFace> {
  return {
    accessKey: (id) => findAccessKey(parts, id),
    accessKeys: () => listAccessKeys(parts),
    putAccessKey: (record) => putAccessKey(parts, record),
    resealAccessKey: (id, reseal) => resealAccessKey(parts, id, reseal),

    site: (id) => findSite(parts, id),
    sites: () => listSites(parts),
    putSite: (record) => putSite(parts, record),
  };
}

/** Closes the parts of the store, each before those it depends on. */
async function closeParts({ parts, lane, segments, sealed }: StoreFaceDeps): Promise<void> {
  await parts.committer.close();
  await parts.bulk.close();
  await sealed();
  await lane.close();
  await segments.close();
  await parts.kv.sync();
  await parts.kv.close();
}

/**
 * Bounds how many large bodies are received at once, because each holds up to two chunks in memory.
 */
function stageWriter(parts: StoreParts): () => Promise<BodyWriter> {
  let writing = 0;
  return async () => {
    if (writing >= LIMITS.stagedBodiesMax) {
      throw new StorageFault("busy", "too many large bodies are being received");
    }
    writing += 1;
    return new ChunkWriter(parts.bulk, {
      admit: (bytes) => parts.admission.admit(bytes),
      ended: () => {
        writing -= 1;
      },
    });
  };
}

/** Runs a task at most once at a time: whoever asks while it runs gets the outcome of that run. */
function oneAtATime<Result>(task: () => Promise<Result>): {
  run: () => Promise<Result>;
  stop: () => Promise<void>;
} {
  let running: Promise<Result> | undefined;
  let stopped = false;
  const run = (): Promise<Result> => {
    if (stopped) return Promise.reject(new StorageFault("closed", "the store is closing"));
    running ??= task().finally(() => {
      running = undefined;
    });
    return running;
  };
  const stop = async (): Promise<void> => {
    stopped = true;
    await running?.then(ended, ended);
  };
  return { run, stop };
}

function ended(): void {
  // Whoever asked for it has the outcome.
}
