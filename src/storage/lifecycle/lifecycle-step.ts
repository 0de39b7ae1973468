import {
  type DueAction,
  dueAbort,
  dueAction,
  type LifecycleRule,
  prefixesOf,
} from "../../core/lifecycle.ts";
import { decodeLifecycle, LIFECYCLE_SETTING } from "../../core/lifecycle-codec.ts";
import type { BucketName, ObjectKey, UploadId, VersionId } from "../../core/names.ts";
import type { Store, StoredVersion } from "../store.ts";
import type { ExpireOutcome, ExpireRequest } from "./expire-request.ts";
import { possibleFromMs } from "./lock-delay.ts";
import { type FoldState, foldVersion } from "./version-fold.ts";

/** How much one step looks at and does, so that requests never wait for long. */
const ROWS_PER_STEP = 500;
const ACTIONS_PER_STEP = 100;

/** What a step works with. */
export type LifecycleStore = Pick<
  Store,
  "bucket" | "versions" | "uploads" | "expireVersions" | "abortUpload"
>;

/** Where a walk over a bucket goes on. */
export type LifecyclePosition =
  | {
      readonly walk: "versions";
      /** Which of the prefixes of the rules. */
      readonly prefix: number;
      readonly after: { readonly key: ObjectKey; readonly version: VersionId } | undefined;
      readonly fold: FoldState | undefined;
    }
  | {
      readonly walk: "uploads";
      readonly after: { readonly key: ObjectKey; readonly uploadId: UploadId } | undefined;
    };

/** Something that the rules want, or will want. */
export type LifecycleAction = Omit<DueAction, "action"> & {
  readonly action: DueAction["action"] | "abort-upload";
  readonly key: ObjectKey;
  /** Of a version, or of an upload. */
  readonly id: string;
};

export type LifecycleStep = {
  /** Undefined: the walk over the bucket has ended. */
  readonly next: LifecyclePosition | undefined;
  /** Versions and uploads looked at. */
  readonly examined: number;
  /** What was done; in a dry run, what will be done and when. */
  readonly actions: readonly LifecycleAction[];
  /** What was due and had to stay: under a lock, or changed since it was looked at. */
  readonly kept: number;
};

export type StepRequest = {
  readonly bucket: BucketName;
  readonly from: LifecyclePosition | undefined;
  readonly nowMs: number;
  /** Nothing is done, and what is not due yet is told as well. */
  readonly dryRun: boolean;
};

/**
 * Does one bounded piece of what the lifecycle of a bucket wants, from a position on. Stopping
 * between two steps, or in the middle of one, leaves nothing half done: every removal is judged
 * again in its commit and is an operation like any other, and an upload is only aborted as long as
 * the rules are the same.
 *
 * @throws StorageFault when the rules cannot be read (then nothing is done) or a commit fails.
 */
export async function lifecycleStep(
  store: LifecycleStore,
  request: StepRequest,
): Promise<LifecycleStep> {
  const setting = store.bucket(request.bucket)?.settings.get(LIFECYCLE_SETTING);
  if (setting === undefined) return { next: undefined, examined: 0, actions: [], kept: 0 };
  const { rules } = decodeLifecycle(setting);
  const from = request.from ?? START;
  return from.walk === "versions"
    ? stepVersions(store, { ...request, from, rules, setting })
    : stepUploads(store, { ...request, from, rules, setting });
}

type At<Walk> = Extract<LifecyclePosition, { readonly walk: Walk }>;

const START: At<"versions"> = { walk: "versions", prefix: 0, after: undefined, fold: undefined };
const UPLOADS: At<"uploads"> = { walk: "uploads", after: undefined };
type Found = LifecycleAction & { readonly request: ExpireRequest };

type VersionsRequest = Omit<StepRequest, "from"> & {
  readonly from: At<"versions">;
  readonly rules: readonly LifecycleRule[];
  readonly setting: Uint8Array;
};

async function stepVersions(
  store: LifecycleStore,
  request: VersionsRequest,
): Promise<LifecycleStep> {
  const { next, examined, found, locked } = walkVersions(store, request);
  if (request.dryRun || found.length === 0) {
    const actions = found.map(({ request: _request, ...action }) => action);
    return { next, examined, actions, kept: locked };
  }
  const outcomes = await store.expireVersions(found.map((one) => one.request));
  const actions = found.flatMap(({ request: _request, ...action }, index) =>
    isDone(outcomes[index]) ? [action] : [],
  );
  return { next, examined, actions, kept: locked + found.length - actions.length };
}

function isDone(outcome: ExpireOutcome | undefined): boolean {
  return outcome?.outcome === "expired";
}

type Walk = {
  readonly next: LifecyclePosition;
  readonly examined: number;
  readonly found: readonly Found[];
  /** Due, but kept by a lock. */
  readonly locked: number;
};

/** Reads versions under one prefix until enough have been seen; every row is read in one turn. */
function walkVersions(store: LifecycleStore, request: VersionsRequest): Walk {
  const { from, rules, bucket, nowMs, dryRun } = request;
  const prefix = prefixesOf(rules)[from.prefix];
  if (prefix === undefined) return { next: UPLOADS, examined: 0, found: [], locked: 0 };
  const cursor = store.versions(bucket);
  const found: Found[] = [];
  let fold = from.fold;
  let after = from.after;
  let examined = 0;
  let locked = 0;
  try {
    if (after === undefined) cursor.seek(prefix);
    else cursor.seekAfter(after.key, after.version);
    let version = cursor.next();
    while (version !== undefined && nameOf(version).key.startsWith(prefix)) {
      const name = nameOf(version);
      if (examined >= ROWS_PER_STEP || found.length >= ACTIONS_PER_STEP) {
        const next = { walk: "versions", prefix: from.prefix, after, fold } as const;
        return { next, examined, found, locked };
      }
      const follower = cursor.next();
      const isLast = follower === undefined || nameOf(follower).key !== name.key;
      const { subject, state } = foldVersion(fold, version, isLast);
      const due = dueAction(rules, subject);
      if (due !== undefined && (dryRun || due.dueMs <= nowMs)) {
        const dueMs = possibleFromMs(due, version);
        if (dueMs <= nowMs || (dryRun && Number.isFinite(dueMs))) {
          found.push(foundOf(request, version, { ...due, dueMs }));
        } else {
          locked += 1;
        }
      }
      fold = state;
      after = { key: name.key, version: name.version };
      examined += 1;
      version = follower;
    }
  } finally {
    cursor.close();
  }
  return { next: { ...START, prefix: from.prefix + 1 }, examined, found, locked };
}

function foundOf(
  { bucket, nowMs, setting }: VersionsRequest,
  version: StoredVersion,
  due: DueAction,
): Found {
  const { key, version: id } = nameOf(version);
  const { isNull, isLatest } = version;
  const { action } = due;
  const shown = isNull ? "null" : id;
  const judged = { version: id, isNull, isLatest, setting, nowMs };
  return { ...due, key, id: shown, request: { bucket, key, action, ...judged } };
}

function nameOf(version: StoredVersion): { readonly key: ObjectKey; readonly version: VersionId } {
  return version.kind === "object" ? version.object : version;
}

type UploadsRequest = Omit<StepRequest, "from"> & {
  readonly from: At<"uploads">;
  readonly rules: readonly LifecycleRule[];
  readonly setting: Uint8Array;
};

async function stepUploads(store: LifecycleStore, request: UploadsRequest): Promise<LifecycleStep> {
  const { next, examined, found } = walkUploads(store, request);
  if (request.dryRun) return { next, examined, actions: found, kept: 0 };
  const done: LifecycleAction[] = [];
  for (const action of found) {
    const { key, uploadId } = action;
    const now = store.bucket(request.bucket)?.settings.get(LIFECYCLE_SETTING);
    if (now === undefined || Buffer.compare(now, request.setting) !== 0) break;
    const { outcome } = await store.abortUpload(request.bucket, key, uploadId);
    if (outcome === "aborted") done.push(action);
  }
  return { next, examined, actions: done, kept: found.length - done.length };
}

function walkUploads(
  store: LifecycleStore,
  { bucket, from, rules, nowMs, dryRun }: UploadsRequest,
): {
  next: LifecyclePosition | undefined;
  examined: number;
  found: ReadonlyArray<LifecycleAction & { readonly uploadId: UploadId }>;
} {
  const found: Array<LifecycleAction & { readonly uploadId: UploadId }> = [];
  if (rules.every(({ abortUploadDays }) => abortUploadDays === undefined)) {
    return { next: undefined, examined: 0, found };
  }
  const cursor = store.uploads(bucket);
  let after = from.after;
  let examined = 0;
  try {
    if (after !== undefined) cursor.seekAfter(after.key, after.uploadId);
    for (let upload = cursor.next(); upload !== undefined; upload = cursor.next()) {
      const { key, uploadId } = upload;
      const due = dueAbort(rules, upload);
      if (due !== undefined && (dryRun || due.dueMs <= nowMs)) {
        found.push({ ...due, action: "abort-upload", key, id: uploadId, uploadId });
      }
      after = { key, uploadId };
      examined += 1;
      if (examined >= ROWS_PER_STEP || found.length >= ACTIONS_PER_STEP) {
        return { next: { walk: "uploads", after }, examined, found };
      }
    }
  } finally {
    cursor.close();
  }
  return { next: undefined, examined, found };
}
