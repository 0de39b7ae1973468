import { z } from "zod";
import { LIMITS } from "../core/limits.ts";
import {
  type BucketName,
  type ObjectKey,
  parseBucketName,
  parseObjectKey,
  parseVersionId,
  type VersionId,
} from "../core/names.ts";
import type { KeyRing } from "../core/seal.ts";
import type { Random } from "../ports/random.ts";
import { type RewrapPosition, rewrapStep } from "../storage/rewrap.ts";
import type { Store } from "../storage/store.ts";
import { type AdminAnswer, type AdminCall, adminProblem } from "./admin-call.ts";
import { readWish } from "./read-wish.ts";

/** What the administration of the key ring works on. */
export type KeyRingSite = {
  readonly store: Store;
  readonly dataDir: {
    readonly keyRing: KeyRing & {
      /** Makes a new key current; resolves with its id when it is durable. */
      rotate(): Promise<string>;
    };
  };
};

export const KEY_RING_PATH = "/v1/admin/key-ring";

const POSITION = z.strictObject({
  bucket: z.string(),
  key: z.string(),
  version: z.string(),
  conflict: z.literal(true).optional(),
});
const REWRAP = z.strictObject({
  after: POSITION.optional(),
  versions: z.number().int().min(1).max(LIMITS.rewrapVersionsMax).optional(),
});

/** Answers what is asked of the key ring; never with a key. */
export function routeKeyRing(
  deps: { readonly random: Random },
  site: KeyRingSite,
  call: AdminCall,
): AdminAnswer | Promise<AdminAnswer> {
  switch (`${call.method} ${call.path.slice(KEY_RING_PATH.length)}`) {
    case "GET ":
      return { status: 200, body: describe(site.dataDir.keyRing) };
    case "POST /rotate":
      return rotate(site);
    case "POST /rewrap":
      return rewrap(deps, site, call.body);
  }
  return adminProblem(405, "The key ring is read with GET, rotated and rewrapped with POST.");
}

function describe(ring: KeyRing): AdminAnswer["body"] {
  const keys = [...ring.keys.keys()].map((id) => ({ id, current: id === ring.current }));
  return { current: ring.current, keys };
}

async function rotate({ dataDir }: KeyRingSite): Promise<AdminAnswer> {
  await dataDir.keyRing.rotate();
  return { status: 200, body: describe(dataDir.keyRing) };
}

async function rewrap(
  { random }: { readonly random: Random },
  { store, dataDir }: KeyRingSite,
  body: unknown,
): Promise<AdminAnswer> {
  const parsed = readWish(REWRAP, body);
  if (!parsed.success) return parsed.refusal;
  const { after, versions = LIMITS.rewrapVersionsMax } = parsed.data;
  const from = after === undefined ? undefined : readPosition(after);
  if (after !== undefined && from === undefined) {
    return adminProblem(400, "That is no place to go on from.");
  }
  const deps = { store, random, keyRing: dataDir.keyRing };
  const { accessKeys, seen, rewrapped, unreadable, next } = await rewrapStep(deps, from, versions);
  const counts = { access_keys: accessKeys, seen, rewrapped, unreadable };
  return { status: 200, body: { ...counts, ...(next && { next }) } };
}

function readPosition(given: z.output<typeof POSITION>): RewrapPosition | undefined {
  const bucket: BucketName | undefined = parseBucketName(given.bucket);
  const key: ObjectKey | undefined = parseObjectKey(given.key);
  const version: VersionId | "null" | undefined =
    given.version === "null" ? "null" : parseVersionId(given.version);
  if (bucket === undefined || key === undefined || version === undefined) return undefined;
  return { bucket, key, version, ...(given.conflict && { conflict: given.conflict }) };
}
