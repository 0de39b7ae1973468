import { z } from "zod";
import { isMetadataFirst, METADATA_FIRST, REPLICATE_SETTING } from "../core/metadata-first.ts";
import { parseBucketName } from "../core/names.ts";
import type { Store, StoredBucket } from "../storage/store.ts";
import { type AdminAnswer, type AdminCall, adminProblem } from "./admin-call.ts";
import { readWish } from "./read-wish.ts";

export const MODES_PATH = "/v1/admin/repl-modes";

export type ModesDesk = {
  readonly store: Pick<Store, "bucket" | "buckets" | "putBucketSetting" | "remote">;
};

/** How the bytes of large objects come to other sites; what most buckets have is not stored. */
const MODES = { "bytes-first": undefined, "metadata-first": METADATA_FIRST } as const;
const PUT = z.strictObject({ mode: z.enum(["bytes-first", "metadata-first"]) });

/** Which buckets show rows at other sites before their bytes are there. */
export function routeModes(
  desk: ModesDesk,
  { method, path, body }: AdminCall,
): AdminAnswer | Promise<AdminAnswer> {
  if (path === MODES_PATH) {
    return method === "GET" ? listModes(desk) : adminProblem(405, "Modes are listed with GET.");
  }
  const name = path.slice(MODES_PATH.length + 1);
  const bucketName = parseBucketName(name);
  const bucket = bucketName === undefined ? undefined : desk.store.bucket(bucketName);
  if (bucket === undefined) return adminProblem(404, `There is no bucket ${name}.`);
  if (method === "GET") return { status: 200, body: show(bucket) };
  if (method === "PUT") return put(desk, bucket, body);
  return adminProblem(405, "A mode is read with GET and set with PUT.");
}

function listModes({ store }: ModesDesk): AdminAnswer {
  const buckets = [...store.buckets()].filter(({ settings }) => isMetadataFirst(settings));
  const { manifests, bytes } = store.remote.sum();
  const missing = { remote_bodies: manifests, remote_bytes: bytes };
  return { status: 200, body: { buckets: buckets.map(show), ...missing } };
}

async function put({ store }: ModesDesk, { name }: StoredBucket, body: unknown) {
  const wish = readWish(PUT, body);
  if (!wish.success) return wish.refusal;
  const value = MODES[wish.data.mode];
  const { outcome } = await store.putBucketSetting({
    ...{ bucket: name, name: REPLICATE_SETTING, value },
  });
  if (outcome !== "stored") return adminProblem(404, `There is no bucket ${name}.`);
  return { status: 200, body: { bucket: name, mode: wish.data.mode } };
}

function show({ name, settings }: StoredBucket): Record<string, unknown> {
  return { bucket: name, mode: isMetadataFirst(settings) ? "metadata-first" : "bytes-first" };
}
