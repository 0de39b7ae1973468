import { accessKeyContext } from "../core/access-key.ts";
import { isEnvelopeCurrent, rewrapEnvelope } from "../core/encryption-envelope.ts";
import type { BucketName, ObjectKey, VersionId } from "../core/names.ts";
import { isSealedWithCurrent, type KeyRing, sealSecret, unsealSecret } from "../core/seal.ts";
import type { Random } from "../ports/random.ts";
import type { Conflicts } from "./conflict-wishes.ts";
import { versionKeyOf, writeIdOf } from "./metadata/key-versions.ts";
import type { Store, StoredObject, VersionCursor } from "./store.ts";

const SEAL_NONCE_BYTES = 12;
/** Changes that wait for one commit together. */
const CHANGES_AT_ONCE = 64;

export type RewrapDeps = {
  readonly store: Store;
  readonly keyRing: KeyRing;
  readonly random: Random;
};

/** The last version that was looked at. */
export type RewrapPosition = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly version: VersionId | "null";
  /** The walk is among conflicts, which come last. */
  readonly conflict?: true;
};

export type RewrapStep = {
  /** Secrets of access keys that were sealed anew; all of them at the beginning of a walk. */
  readonly accessKeys: number;
  /** Versions that were looked at. */
  readonly seen: number;
  readonly rewrapped: number;
  /** Envelopes that the ring does not open: damage, or a key that is missing. */
  readonly unreadable: number;
  /** Where the next step goes on; undefined at the end. */
  readonly next: RewrapPosition | undefined;
};

/**
 * Seals anew, with the ring's current key, the secrets of access keys and the envelopes of at most
 * `versionsMax` versions; bodies stay as they are. What is sealed with that key already is skipped,
 * so that an interrupted walk can begin again.
 *
 * @throws StorageFault "busy" or "disk-full" as every write does; what was done before stays done.
 */
export async function rewrapStep(
  deps: RewrapDeps,
  after: RewrapPosition | undefined,
  versionsMax: number,
): Promise<RewrapStep> {
  const accessKeys = after === undefined ? await resealAccessKeys(deps) : 0;
  const walk = new RewrapWalk(deps.keyRing, versionsMax);
  if (after?.conflict === undefined) visitVersions(deps.store, walk, after);
  if (!walk.isFull) walk.visitConflicts(deps.store.conflicts, conflictAfter(after));
  let rewrapped = 0;
  let unreadable = 0;
  for (let at = 0; at < walk.outdated.length; at += CHANGES_AT_ONCE) {
    const objects = walk.outdated.slice(at, at + CHANGES_AT_ONCE);
    const outcomes = await Promise.all(objects.map((object) => rewrap(deps, object)));
    rewrapped += outcomes.filter((outcome) => outcome === "rewrapped").length;
    unreadable += outcomes.filter((outcome) => outcome === "unreadable").length;
  }
  const next = walk.isFull ? walk.last : undefined;
  return { accessKeys, seen: walk.seen, rewrapped, unreadable, next };
}

function visitVersions(store: Store, walk: RewrapWalk, after: RewrapPosition | undefined): void {
  if (after !== undefined && store.bucket(after.bucket) !== undefined) {
    walk.visit(store.versions(after.bucket), after);
  }
  if (walk.isFull) return;
  for (const { name } of store.buckets(after?.bucket)) {
    walk.visit(store.versions(name), undefined);
    if (walk.isFull) return;
  }
}

/** Where a page of conflicts goes on. */
function conflictAfter(after: RewrapPosition | undefined): string | undefined {
  if (after?.conflict === undefined || after.version === "null") return undefined;
  return versionKeyOf(after, writeIdOf(after.version));
}

/** There are few of them, so that one step does them all. */
async function resealAccessKeys({ store, keyRing, random }: RewrapDeps): Promise<number> {
  const outdated = [...store.accessKeys()].filter(
    ({ id, state, sealedSecret }) =>
      state !== "revoked" && !isSealedWithCurrent(keyRing, sealedSecret, accessKeyContext(id)),
  );
  let resealed = 0;
  for (const { id } of outdated) {
    const isDone = await store.resealAccessKey(id, (sealed) => {
      const secret = unsealSecret(keyRing, sealed, accessKeyContext(id));
      if (secret === undefined) return undefined;
      const nonce = random.bytes(SEAL_NONCE_BYTES);
      return sealSecret(keyRing, secret, accessKeyContext(id), nonce);
    });
    if (isDone) resealed++;
  }
  return resealed;
}

/** Finds the versions whose envelopes are sealed with an older key. */
class RewrapWalk {
  readonly #keyRing: KeyRing;
  readonly #versionsMax: number;
  readonly outdated: StoredObject[] = [];
  seen = 0;
  last: RewrapPosition | undefined;

  constructor(keyRing: KeyRing, versionsMax: number) {
    this.#keyRing = keyRing;
    this.#versionsMax = versionsMax;
  }

  get isFull(): boolean {
    return this.seen >= this.#versionsMax;
  }

  visit(cursor: VersionCursor, after: RewrapPosition | undefined): void {
    try {
      if (after !== undefined) cursor.seekAfter(after.key, after.version);
      while (!this.isFull) {
        const found = cursor.next();
        if (found === undefined) return;
        this.seen++;
        const { bucket, key, version } = found.kind === "object" ? found.object : found;
        this.last = { bucket, key, version: found.isNull ? "null" : version };
        if (found.kind === "object" && this.#isOutdated(found.object)) {
          this.outdated.push(found.object);
        }
      }
    } finally {
      cursor.close();
    }
  }

  /** Conflicts are no versions of their bucket, and may be there without it. */
  visitConflicts(conflicts: Conflicts, after: string | undefined): void {
    const page = conflicts.list(undefined, after, this.#versionsMax - this.seen);
    for (const object of page.conflicts) {
      const { bucket, key, version } = object;
      this.seen++;
      this.last = { bucket, key, version, conflict: true };
      if (this.#isOutdated(object)) this.outdated.push(object);
    }
  }

  #isOutdated({ bucket, record: { encryption } }: StoredObject): boolean {
    return encryption !== undefined && !isEnvelopeCurrent(this.#keyRing, encryption, bucket);
  }
}

async function rewrap(
  { store, keyRing, random }: RewrapDeps,
  { bucket, key, version, isNull, record }: StoredObject,
): Promise<"rewrapped" | "unreadable" | "gone"> {
  const buckets = { from: bucket, to: bucket };
  const envelope =
    record.encryption === undefined
      ? undefined
      : rewrapEnvelope(keyRing, record.encryption, buckets, random.bytes(SEAL_NONCE_BYTES));
  if (envelope === undefined) return "unreadable";
  const { outcome } = await store.changeObject({
    ...{ bucket, key, version: isNull ? "null" : version },
    // Another body that has taken the place meanwhile has another data key.
    writtenAs: version,
    change: { kind: "encryption", envelope },
  });
  return outcome === "changed" ? "rewrapped" : "gone";
}
