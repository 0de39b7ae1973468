import { z } from "zod";
import { unreachable } from "../core/assert.ts";
import {
  type BucketName,
  type ObjectKey,
  parseBucketName,
  parseObjectKey,
  parseVersionId,
  type VersionId,
} from "../core/names.ts";
import type { ConflictOutcome } from "../storage/conflict-wishes.ts";
import type { Store } from "../storage/store.ts";
import { type AdminAnswer, type AdminCall, adminProblem } from "./admin-call.ts";
import { CONFLICTS_WISH, conflictFacts, listConflicts } from "./conflict-facts.ts";
import { readWish } from "./read-wish.ts";

export const CONFLICTS_PATH = "/v1/admin/conflicts";

type ConflictStore = Pick<Store, "conflicts" | "object">;

const NAME = { bucket: z.string(), key: z.string() };
const SHOW = z.strictObject({ ...NAME, version: z.string() });
const SETTLE = z.strictObject({
  ...NAME,
  version: z.string().optional(),
  wish: z.enum(["keep", "restore", "discard"]),
});

/** Conflicts: listed, shown and settled, all with POST, for keys do not fit into paths. */
export function routeConflicts(
  store: ConflictStore,
  { method, path, body }: AdminCall,
): AdminAnswer | Promise<AdminAnswer> {
  switch (`${method} ${path.slice(CONFLICTS_PATH.length)}`) {
    case "POST /list":
      return list(store, body);
    case "POST /show":
      return show(store, body);
    case "POST /settle":
      return settle(store, body);
  }
  return adminProblem(405, "Conflicts are listed, shown and settled with POST.");
}

function list(store: ConflictStore, body: unknown): AdminAnswer {
  const wish = readWish(CONFLICTS_WISH, body);
  if (!wish.success) return wish.refusal;
  const page = listConflicts(store, wish.data);
  return page === undefined
    ? adminProblem(400, `${wish.data.bucket} is no name of a bucket.`)
    : { status: 200, body: page };
}

function show(store: ConflictStore, body: unknown): AdminAnswer {
  const wish = readWish(SHOW, body);
  if (!wish.success) return wish.refusal;
  const name = nameOf(wish.data);
  const found =
    name?.version === undefined
      ? undefined
      : store.conflicts.find(name.bucket, name.key, name.version);
  return found === undefined ? none() : { status: 200, body: conflictFacts(store, found) };
}

async function settle(store: ConflictStore, body: unknown): Promise<AdminAnswer> {
  const parsed = readWish(SETTLE, body);
  if (!parsed.success) return parsed.refusal;
  const { wish } = parsed.data;
  const name = nameOf(parsed.data);
  if (name === undefined) return none();
  if (wish !== "keep" && name.version === undefined) {
    return adminProblem(400, "Say which version: atoll conflicts list shows them.");
  }
  const done = await store.conflicts.resolve(name, wish === "restore" ? "restore" : "discard");
  return answerOf(done);
}

function answerOf(done: ConflictOutcome): AdminAnswer {
  switch (done.outcome) {
    case "resolved":
      return { status: 200, body: { settled: done.count } };
    case "no-such-conflict":
      return none();
    case "no-such-bucket":
      return adminProblem(404, "Its bucket was deleted: make it again, or discard the conflict.");
    case "over-quota":
      return adminProblem(409, "There is no room for it: the quota is used up.");
    case "locked":
      return adminProblem(409, "A lock keeps what stands there now.");
  }
  return unreachable(done);
}

function none(): AdminAnswer {
  return adminProblem(404, "There is no such conflict; perhaps it has been settled already.");
}

function nameOf({
  bucket: bucketText,
  key: keyText,
  version: versionText,
}: {
  readonly bucket: string;
  readonly key: string;
  readonly version?: string | undefined;
}):
  | { readonly bucket: BucketName; readonly key: ObjectKey; version: VersionId | undefined }
  | undefined {
  const bucket = parseBucketName(bucketText);
  const key = parseObjectKey(keyText);
  const version = versionText === undefined ? undefined : parseVersionId(versionText);
  if (bucket === undefined || key === undefined) return undefined;
  if (versionText !== undefined && version === undefined) return undefined;
  return { bucket, key, version };
}
