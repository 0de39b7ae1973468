import { formatHlc, hlcMs } from "../core/hlc.ts";
import { HotMap } from "../core/hot-map.ts";
import { LIMITS } from "../core/limits.ts";
import type { ObjectLock } from "../core/object-lock-state.ts";
import type { OpenBatch } from "./batch.ts";
import { judgeConditions } from "./conditions.ts";
import { objectKeyOf } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import { findObject } from "./objects.ts";
import { judgeQuota } from "./quotas.ts";
import type { RenameObjectRequest, RenameOutcome, StoredObject } from "./store.ts";
import { findBucket, type StoreParts } from "./store-parts.ts";
import { judgeOverwrite, versioningIn } from "./versions.ts";

const RECORD_BYTES = 2048;
/** How often to try again when the source is replaced while its small body is being read. */
const ATTEMPTS_MAX = 16;

type Attempt = RenameOutcome | { readonly outcome: "replaced" };

/**
 * Renames objects: one group puts the destination, with the source's body and everything said about
 * it, and deletes the source. Readers see both changes or neither, even after a crash.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html
 */
export class Renames {
  readonly #parts: StoreParts;
  /** Renames done under a client's token while this process lives: a retry changes nothing. */
  readonly #done = new HotMap<string>(LIMITS.renameTokensMax);

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** @throws StorageFault "disk-full" or "busy" before anything is begun. */
  async rename(request: RenameObjectRequest): Promise<RenameOutcome> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const done = await this.#renameOnce(request);
      if (done.outcome !== "replaced") return done;
    }
    return { outcome: "conflict" };
  }

  async #renameOnce(request: RenameObjectRequest): Promise<Attempt> {
    const { admission, committer } = this.#parts;
    const source = findObject(this.#parts, request.bucket, request.source);
    if (source !== undefined) await this.#parts.bodies.remote.bring(source);
    const bytes = source && (await this.#parts.bodies.inline(source));
    const size = RECORD_BYTES + (bytes?.length ?? 0);
    admission.admit(size);
    return await committer.submit<Attempt>(size, (batch) =>
      this.#judge(batch, request, source, bytes),
    );
  }

  #judge(
    batch: OpenBatch,
    request: RenameObjectRequest,
    seen: StoredObject | undefined,
    bytes: Uint8Array | undefined,
  ): Attempt {
    const { bucket, key, token } = request;
    const { view } = batch.context;
    if (findBucket(view, bucket) === undefined) return { outcome: "no-such-bucket" };
    const what = `${request.source}\0${key}`;
    const before = token === undefined ? undefined : this.#done.get(`${bucket}\0${token}`);
    if (before !== undefined) return { outcome: before === what ? "renamed" : "token-mismatch" };
    const source = view.get(TABLES.object, objectKeyOf(bucket, request.source));
    if (source === undefined) return { outcome: "no-such-key" };
    const refusal = this.#judgeBoth(batch, request);
    if (refusal !== undefined) return refusal;
    if (source.stamp.hlc !== seen?.hlc) return { outcome: "replaced" };
    const lock = lockUnder(source.object.lock, request.lock, this.#parts.clock.nowMs());
    const object = { ...source.object, lock };
    if (key !== request.source) moveObject(batch, request, object, bytes);
    if (token !== undefined) this.#done.set(`${bucket}\0${token}`, what, 1);
    return { outcome: "renamed" };
  }

  #judgeBoth(
    { context: { view } }: OpenBatch,
    { bucket, key, source, conditions, sourceConditions }: RenameObjectRequest,
  ): RenameOutcome | undefined {
    const { clock, quotas } = this.#parts;
    const at = (name: string) => view.get(TABLES.object, objectKeyOf(bucket, name));
    const row = at(source);
    const object = row?.object;
    const condition = object === undefined ? undefined : sourceConditions?.(object);
    if (condition !== undefined) return { outcome: "precondition-failed", condition };
    const refusal = judgeConditions(conditions, at(key));
    if (refusal !== undefined) return refusal;
    const nullSlot = versioningIn(view, bucket) !== "enabled";
    const kept = nullSlot
      ? (judgeOverwrite(clock, view, { bucket, key }) ??
        judgeOverwrite(clock, view, { bucket, key: source }))
      : undefined;
    // Except for a null version that moves, the old name keeps its version behind a delete marker.
    if (kept !== undefined || (nullSlot && row?.nullSlot === true)) return kept;
    const growth = { bytes: object?.size ?? 0, nullSlot };
    return judgeQuota({ view, quotas }, { bucket, key }, growth);
  }
}

/**
 * The lock of an object under its new name, where it is a new version. A bucket's default retention
 * replaces one of its own that has ended; a legal hold stays.
 */
function lockUnder(
  lock: ObjectLock | undefined,
  byDefault: ObjectLock | undefined,
  nowMs: number,
): ObjectLock | undefined {
  const lasts = (lock?.retention?.untilMs ?? 0) > nowMs;
  if (byDefault === undefined || lasts) return lock;
  return { retention: byDefault.retention, legalHold: lock?.legalHold ?? false };
}

function moveObject(
  batch: OpenBatch,
  { bucket, key, source }: RenameObjectRequest,
  object: StoredObject["record"],
  bytes: Uint8Array | undefined,
): void {
  const versioning = versioningIn(batch.context.view, bucket);
  const nullSlot = versioning !== "enabled";
  const putAt = batch.nextHlc();
  const group = { id: `rename-${formatHlc(putAt)}`, count: 2 };
  batch.operation(putAt, { kind: "object-put", bucket, key, nullSlot, object }, bytes, group);
  const deletedAt = batch.nextHlc();
  const nullMarker = versioning === "suspended";
  const slot = { nullSlot, nullMarker, deletedMs: hlcMs(deletedAt) };
  batch.operation(
    deletedAt,
    { kind: "object-delete", bucket, key: source, ...slot },
    undefined,
    group,
  );
}
