import { unreachable } from "../../core/assert.ts";
import { laterStamp } from "../../core/lww.ts";
import type { ContentHash } from "../../core/names.ts";
import type { LocalRecord, ManifestChunk, Operation, Vector } from "../../core/records.ts";
import { standingOf } from "./again.ts";
import { applyBucketCreate, applyBucketDelete, applyBucketSetting } from "./apply-buckets.ts";
import { applyVerdicts, resolveConflict } from "./apply-conflicts.ts";
import type { ApplyContext, Input, RecordPlace } from "./apply-context.ts";
import { applyJudgedDeletes } from "./apply-deletes.ts";
import {
  applyObjectDelete,
  applyObjectMeta,
  applyObjectPut,
  applyVersionDelete,
} from "./apply-objects.ts";
import { applyOriginRecord } from "./apply-origins.ts";
import { applyBootstrap, applyFloors, removeRows } from "./apply-rows.ts";
import { bury } from "./graves.ts";
import { DROPPED_KEY, partKeyOf, uploadKeyOf } from "./keys.ts";
import { TABLES } from "./rows.ts";
import { joinSites, type SiteOperation } from "./site-rows.ts";
import { addUsage } from "./usage.ts";

/** Applies an operation of any origin; one that lost to a later write changes nothing. */
export function applyOperation(
  context: ApplyContext,
  operation: Operation,
  place: RecordPlace,
): void {
  const stamp = { hlc: operation.hlc, ...operation.dot };
  const { body } = operation;
  switch (body.kind) {
    case "object-put":
      applyObjectPut(context, { stamp, place, body });
      return;
    case "object-delete":
      applyObjectDelete(context, { stamp: standingOf(operation), place, body });
      return;
    case "bucket-create":
      applyBucketCreate(context, { stamp, place, body }, seenBy(context, operation));
      return;
    case "bucket-delete":
      applyBucketDelete(context, { stamp, place, body }, seenBy(context, operation));
      return;
    case "bucket-setting":
      applyBucketSetting(context, { stamp, place, body });
      return;
    case "access-key-put":
      applyAccessKey(context, operation, { place, body });
      return;
    case "version-delete":
      applyVersionDelete(context, { stamp, place, body }, seenBy(context, operation));
      return;
    case "object-meta":
      applyObjectMeta(context, { stamp, place, body }, seenBy(context, operation));
      return;
    case "site-put":
      applySite(context, { ...operation, body }, place.home);
      return;
    case "conflict-resolve":
      resolveConflict(context, body, body.write, place.home);
      return;
    default:
      unreachable(body);
  }
}

/** What an operation's origin had received of others. A row states that itself, where it counts. */
function seenBy({ causal }: ApplyContext, { vector }: Operation): Vector | undefined {
  return causal ?? (vector.full ? vector.entries : undefined);
}

/** Applies a record of this site alone; `home` is the segment it stands in. */
export function applyLocal(context: ApplyContext, record: LocalRecord, home: number): void {
  switch (record.kind) {
    case "upload-create":
      createUpload(context, record, home);
      return;
    case "part-put":
      putPart(context, record, home);
      return;
    case "upload-end":
      endUpload(context, record, home);
      return;
    case "chunks-placed":
      for (const { hash, place } of record.chunks) context.references.placeChunk(hash, place, home);
      return;
    case "manifests-remote":
      for (const one of record.manifests) context.references.addRemote(one, home);
      return;
    case "segments-dropped":
      dropSegments(context, record, home);
      return;
    case "results-expired":
      for (const uploadId of record.uploadIds) expireResult(context, uploadId, home);
      return;
    case "log-continues":
      // Said to the replay, which finds the end of the segment before by it; it leaves no row.
      return;
    case "deletes-judged":
      applyJudgedDeletes(context, record, home);
      return;
    case "conflicts-judged":
      applyVerdicts(context, record, home);
      return;
    case "rows-removed":
      removeRows(context, record, home);
      return;
    case "bootstrap":
      applyBootstrap(context, record, home);
      return;
    case "floors":
      applyFloors(context, record, home);
      return;
    default:
      applyOriginRecord(context, record, home);
  }
}

/** Applies a manifest record; nothing names it until an operation or a part does. */
export function applyManifest(
  context: ApplyContext,
  manifest: { hash: ContentHash; chunks: readonly ManifestChunk[] },
  home: number,
): void {
  context.references.addManifest(manifest.hash, manifest.chunks, home);
}

/** Revocation is remove-wins: an id once revoked never becomes valid again. */
function applyAccessKey(
  { view, references }: ApplyContext,
  operation: Operation,
  { place, body }: { place: RecordPlace; body: Input<"access-key-put">["body"] },
): void {
  const before = view.get(TABLES.accessKey, body.accessKey.id);
  if (before !== undefined) {
    const stored = before.operation.body;
    const revoked = stored.kind === "access-key-put" && stored.accessKey.state === "revoked";
    const revokes = body.accessKey.state === "revoked";
    const stampBefore = { hlc: before.operation.hlc, ...before.operation.dot };
    const stamp = { hlc: operation.hlc, ...operation.dot };
    if (revoked && !revokes) return;
    if (revoked === revokes && laterStamp(stampBefore, stamp)) return;
    references.addLive(before.home, -1, 0);
  }
  view.put(TABLES.accessKey, body.accessKey.id, { home: place.home, operation });
  references.addLive(place.home, 1, 0);
}

function applySite(
  { view, references }: ApplyContext,
  operation: SiteOperation,
  home: number,
): void {
  const { id } = operation.body.site;
  const before = view.get(TABLES.site, id);
  const row = joinSites(before, { home, operation });
  for (const entry of before?.entries ?? []) references.addLive(entry.home, -1, 0);
  for (const entry of row.entries) references.addLive(entry.home, 1, 0);
  view.put(TABLES.site, id, row);
}

type LocalOf<Kind extends LocalRecord["kind"]> = Extract<LocalRecord, { kind: Kind }>;

function createUpload(
  { view, references }: ApplyContext,
  { upload }: LocalOf<"upload-create">,
  home: number,
): void {
  const key = uploadKeyOf(upload.bucket, upload.key, upload.uploadId);
  view.put(TABLES.upload, key, { home, upload });
  references.addLive(home, 1, 0);
  addUsage(view, upload, { uploads: 1 });
}

/** A part of an upload that has ended is nothing: its record may outlive the upload's. */
function putPart(
  { view, references }: ApplyContext,
  { part }: LocalOf<"part-put">,
  home: number,
): void {
  const upload = uploadKeyOf(part.bucket, part.key, part.uploadId);
  if (view.get(TABLES.upload, upload) === undefined) return;
  const key = partKeyOf(part.uploadId, part.partNumber);
  const before = view.get(TABLES.part, key);
  references.addManifestRefs([part.manifest]);
  references.addLive(home, 1, 0);
  if (before !== undefined) {
    references.addLive(before.home, -1, 0);
    references.dropManifestRefs([before.part.manifest]);
  }
  view.put(TABLES.part, key, { home, part });
}

function endUpload(
  { view, references }: ApplyContext,
  record: LocalOf<"upload-end">,
  home: number,
): void {
  const key = uploadKeyOf(record.bucket, record.key, record.uploadId);
  const upload = view.get(TABLES.upload, key);
  if (upload !== undefined) {
    const parts = view.rows(TABLES.part, record.uploadId, `${record.uploadId}~`);
    for (const { key: partKey, row } of parts) {
      view.remove(TABLES.part, partKey);
      references.addLive(row.home, -1, 0);
      references.dropManifestRefs([row.part.manifest]);
    }
    view.remove(TABLES.upload, key);
    references.addLive(upload.home, -1, 0);
    addUsage(view, record, { uploads: -1 });
    bury({ view, references }, home, upload.home);
  }
  if (record.completed === undefined) return;
  view.put(TABLES.result, record.uploadId, { home, completed: record.completed });
  references.addLive(home, 1, 0);
}

function expireResult(context: ApplyContext, uploadId: string, home: number): void {
  const row = context.view.get(TABLES.result, uploadId);
  if (row === undefined) return;
  context.view.remove(TABLES.result, uploadId);
  context.references.addLive(row.home, -1, 0);
  bury(context, home, row.home);
}

function dropSegments(
  { view, references }: ApplyContext,
  record: LocalOf<"segments-dropped">,
  home: number,
): void {
  const before = view.get(TABLES.dropped, DROPPED_KEY);
  if (before !== undefined) references.addLive(before.home, -1, 0);
  view.put(TABLES.dropped, DROPPED_KEY, { home, record });
  references.addLive(home, 1, 0);
  for (const { key } of view.rows(TABLES.grave, "", "~")) {
    const [removedIn, createdIn] = [Number(key.slice(0, 10)), Number(key.slice(10))];
    // A segment with removals goes before what it removed when they are said elsewhere as well.
    const isOver = isDropped(record.segments, createdIn) || isDropped(record.segments, removedIn);
    if (!isOver) continue;
    view.remove(TABLES.grave, key);
    references.addLive(removedIn, -1, 0);
  }
  for (const trim of record.trimPoints) {
    const from = trim.origin;
    const runs = view.rows(TABLES.logRun, from, `${from}~`);
    for (const { key, row } of runs) {
      if (isDropped(record.segments, row.segment)) view.remove(TABLES.logRun, key);
    }
  }
  // A signature may stand in another segment than the operation that it covers.
  for (const { key, row } of view.rows(TABLES.signedHead, "", "~")) {
    if (isDropped(record.segments, row.home)) view.remove(TABLES.signedHead, key);
  }
}

/** Tells whether a segment is in a list of runs (first, last, first, last, …). */
export function isDropped(runs: readonly number[], segment: number): boolean {
  for (let index = 0; index + 1 < runs.length; index += 2) {
    const first = runs[index] ?? 0;
    const last = runs[index + 1] ?? 0;
    if (segment >= first && segment <= last) return true;
  }
  return false;
}
