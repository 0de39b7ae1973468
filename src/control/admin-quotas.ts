import { z } from "zod";
import type { BucketQuota } from "../core/bucket-quota.ts";
import { type AccessKeyId, parseBucketName } from "../core/names.ts";
import type { Store, StoredBucket } from "../storage/store.ts";
import { type AdminAnswer, type AdminCall, adminProblem } from "./admin-call.ts";
import { findKey, keyIdOf } from "./admin-keys.ts";
import { readWish } from "./read-wish.ts";

export const QUOTAS_PATH = "/v1/admin/quotas";

const limit = z.int().min(0).optional();
const PUT = z
  .strictObject({ bytes: limit, objects: limit })
  .refine(({ bytes, objects }) => bytes !== undefined || objects !== undefined, {
    error: "give the most bytes, the most objects, or both",
  });

/** Below it stand the access keys; no bucket has a name with a slash. */
const KEYS_PATH = `${QUOTAS_PATH}/keys/`;

/** The quotas of buckets and access keys: all of them, or one. */
export function routeQuotas(store: Store, call: AdminCall): AdminAnswer | Promise<AdminAnswer> {
  const { method, path } = call;
  if (path === QUOTAS_PATH) {
    return method === "GET" ? listQuotas(store) : adminProblem(405, "Quotas are listed with GET.");
  }
  if (path.startsWith(KEYS_PATH)) return routeKeyQuota(store, call);
  return routeBucketQuota(store, call);
}

function routeBucketQuota(
  store: Store,
  { method, path, body }: AdminCall,
): AdminAnswer | Promise<AdminAnswer> {
  const name = path.slice(QUOTAS_PATH.length + 1);
  const bucketName = parseBucketName(name);
  const bucket = bucketName === undefined ? undefined : store.bucket(bucketName);
  if (bucket === undefined) return adminProblem(404, `There is no bucket ${name}.`);
  switch (method) {
    case "GET":
      return { status: 200, body: show(store, bucket, store.quotas.ofBucket(bucket.name)) };
    case "PUT":
      return put(store, bucket, body);
    case "DELETE":
      return change(store, bucket, undefined);
  }
  return wrongMethod();
}

/** A quota outlives its key, and so do the key's buckets: it can be removed all the same. */
async function routeKeyQuota(
  store: Store,
  { method, path, body }: AdminCall,
): Promise<AdminAnswer> {
  const text = path.slice(KEYS_PATH.length);
  const id = keyIdOf(text);
  const quota = id === undefined ? undefined : store.quotas.ofKeys().get(id);
  if (id === undefined || (quota === undefined && findKey(store, text) === undefined)) {
    return adminProblem(404, `There is no access key ${text} that could have a quota.`);
  }
  switch (method) {
    case "GET":
      return { status: 200, body: showKeyQuota(store, id, quota) };
    case "PUT": {
      const wish = readWish(PUT, body);
      if (!wish.success) return wish.refusal;
      const next = { bytesMax: wish.data.bytes, objectsMax: wish.data.objects };
      await store.quotas.putKey(id, next);
      return { status: 200, body: showKeyQuota(store, id, next) };
    }
    case "DELETE":
      await store.quotas.putKey(id, undefined);
      return { status: 200, body: showKeyQuota(store, id, undefined) };
  }
  return wrongMethod();
}

function wrongMethod(): AdminAnswer {
  return adminProblem(405, "A quota is read with GET, set with PUT and removed with DELETE.");
}

function listQuotas(store: Store): AdminAnswer {
  const quotas = [];
  for (const bucket of store.buckets()) {
    const quota = store.quotas.ofBucket(bucket.name);
    if (quota !== undefined) quotas.push(show(store, bucket, quota));
  }
  const keys = [...store.quotas.ofKeys()].map(([id, quota]) => showKeyQuota(store, id, quota));
  return { status: 200, body: { quotas, keys } };
}

function put(
  store: Store,
  bucket: StoredBucket,
  body: unknown,
): AdminAnswer | Promise<AdminAnswer> {
  const wish = readWish(PUT, body);
  if (!wish.success) return wish.refusal;
  const { bytes: bytesMax, objects: objectsMax } = wish.data;
  return change(store, bucket, { bytesMax, objectsMax });
}

async function change(
  store: Store,
  bucket: StoredBucket,
  quota: BucketQuota | undefined,
): Promise<AdminAnswer> {
  await store.quotas.putBucket(bucket.name, quota);
  return { status: 200, body: show(store, bucket, quota) };
}

/** Limits and what counts against them; a limit that is not there is left out. */
function show(
  store: Store,
  { name }: StoredBucket,
  quota: BucketQuota | undefined,
): Record<string, unknown> {
  const usage = store.bucketUsage(name);
  const used = { used_bytes: usage.bytes, used_objects: usage.versions };
  return { bucket: name, ...showLimits(quota), ...used };
}

/** The same of all buckets that a key made. */
export function showKeyQuota(
  store: Store,
  id: AccessKeyId,
  quota: BucketQuota | undefined,
): Record<string, unknown> {
  const { buckets, bytes, objects } = store.keyUsage(id);
  const used = { buckets, used_bytes: bytes, used_objects: objects };
  return { access_key: id, ...showLimits(quota), ...used };
}

function showLimits(quota: BucketQuota | undefined): Record<string, unknown> {
  return {
    ...(quota?.bytesMax === undefined ? {} : { bytes: quota.bytesMax }),
    ...(quota?.objectsMax === undefined ? {} : { objects: quota.objectsMax }),
  };
}
