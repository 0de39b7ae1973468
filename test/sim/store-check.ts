import { VERSIONING_SETTING, versioningOf } from "../../src/core/bucket-versioning.ts";
import type { Site } from "../../src/storage/site.ts";
import type { Store, StoredBucket, StoredObject, StoredVersion } from "../../src/storage/store.ts";
import { bucketOf, bytesOf, type Entry, type UploadIds } from "./store-journal.ts";
import {
  applyToModel,
  type Content,
  type ModelOperation,
  type ModelState,
  type ModelVersion,
  sizeOf,
} from "./store-model.ts";

/** What one looks for: says what was found wrong, in one sentence. */
export class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
}

type Shown = {
  readonly buckets: readonly string[];
  readonly objects: ReadonlyArray<readonly string[]>;
  readonly uploads: ReadonlyArray<readonly string[]>;
  readonly results: ReadonlyArray<readonly string[]>;
  readonly keys: ReadonlyArray<readonly string[]>;
  readonly settings: ReadonlyArray<readonly string[]>;
  readonly versions: ReadonlyArray<readonly string[]>;
};

/** What another site wrote, and no model knows, stands in a bucket of this name. */
export const ELSEWHERE = "elsewhere";

function bucketsOf(store: Store): StoredBucket[] {
  return [...store.buckets()].filter(({ name }) => name !== ELSEWHERE);
}

/** Everything a client can see, as one text. */
export function showStore(store: Store, uploadIds: UploadIds): string {
  const buckets = bucketsOf(store).map((bucket) => bucket.name);
  const objects = allObjects(store).map((object) => {
    const { record } = object;
    return [object.bucket, object.key, writerOf(object), record.etag, String(record.size)];
  });
  return JSON.stringify({
    buckets,
    objects,
    uploads: showUploads(store, buckets),
    results: [...uploadIds]
      .flatMap(([tag, id]) => {
        const completed = store.completedUpload(id);
        return completed === undefined ? [] : [[tag, completed.etag]];
      })
      .sort(byText),
    keys: [...store.accessKeys()].map((key) => [key.id, key.state]).sort(byText),
    settings: bucketsOf(store).flatMap(showSettings).sort(byText),
    versions: allVersions(store).map(showVersion),
  } satisfies Shown);
}

/** The same text for a state of the model. */
export function showModel(state: ModelState): string {
  const objects = [...state.objects].map(([id, object]) => {
    const [bucket = "", key = ""] = id.split("\0");
    return [bucket, key, object.writer, object.etag, String(sizeOf(object.contents))];
  });
  const uploads = [...state.uploads.values()].map((upload) => {
    const parts = [...upload.parts]
      .sort(([left], [right]) => left - right)
      .map(([number, part]) => `${number}:${part.etag}:${part.content.size}`);
    return [upload.bucket, upload.key, upload.tag, ...parts];
  });
  return JSON.stringify({
    buckets: [...state.buckets.keys()].sort(),
    objects: objects.sort(byText),
    uploads: uploads.sort(byText),
    results: [...state.results].map(([tag, { etag }]) => [tag, etag]).sort(byText),
    keys: [...state.keys].map(([id, value]) => [id, value]).sort(byText),
    settings: [...state.settings].map(([id, value]) => [...id.split("\0"), value]).sort(byText),
    versions: [...state.versions]
      .sort(([left], [right]) => byText([left], [right]))
      .flatMap(([id, list]) => list.map((version, index) => showModelVersion(id, version, index))),
  } satisfies Shown);
}

function showSettings({ name, settings }: StoredBucket): string[][] {
  return [...settings].map(([setting, value]) => {
    const text =
      setting === VERSIONING_SETTING ? versioningOf(value) : Buffer.from(value).toString();
    return [name, setting, text];
  });
}

function showVersion(version: StoredVersion): string[] {
  const { bucket, key, isLatest, isNull } = version;
  const at = [bucket, key, `${isLatest ? "latest" : ""} ${isNull ? "null" : ""}`];
  if (version.kind === "delete-marker") return [...at, "marker"];
  const { record } = version.object;
  const tag = record.attributes.tags[0]?.[1] ?? "";
  const held = record.lock?.legalHold === true ? "held" : "";
  return [...at, writerOf(version.object), record.etag, tag, held];
}

function showModelVersion(id: string, version: ModelVersion, index: number): string[] {
  const at = [...id.split("\0"), `${index === 0 ? "latest" : ""} ${version.isNull ? "null" : ""}`];
  if (version.kind === "marker") return [...at, "marker"];
  const { writer, etag, tag = "", held = false } = version.object;
  return [...at, writer, etag, tag, held ? "held" : ""];
}

/** Versions of all buckets, newest first behind each key. */
function allVersions(store: Store): StoredVersion[] {
  const found: StoredVersion[] = [];
  for (const { name } of bucketsOf(store)) {
    const cursor = store.versions(name);
    for (let next = cursor.next(); next !== undefined; next = cursor.next()) found.push(next);
    cursor.close();
  }
  return found;
}

function showUploads(store: Store, buckets: readonly string[]): string[][] {
  const shown: string[][] = [];
  for (const bucket of buckets) {
    const cursor = store.uploads(bucketOf(bucket));
    for (let upload = cursor.next(); upload !== undefined; upload = cursor.next()) {
      const parts = [...store.parts(upload.uploadId, 0)].map(
        (part) => `${part.partNumber}:${part.etag}:${part.size}`,
      );
      shown.push([upload.bucket, upload.key, upload.initiator, ...parts]);
    }
  }
  return shown.sort(byText);
}

/** Objects of all buckets, in the order of the cursors, which must be that of bytes. */
function allObjects(store: Store): StoredObject[] {
  const found: StoredObject[] = [];
  for (const { name } of bucketsOf(store)) {
    const cursor = store.objects(name);
    let before = "";
    for (let object = cursor.next(); object !== undefined; object = cursor.next()) {
      if (Buffer.compare(Buffer.from(before), Buffer.from(object.key)) >= 0) {
        throw new BrokenPromise(`the list of ${name} has ${object.key} behind ${before}`);
      }
      before = object.key;
      const stored = store.object(name, object.key);
      if (stored === undefined) throw new BrokenPromise(`${object.key} is only listed`);
      if (
        stored.record.size !== object.listing.size ||
        stored.record.etag !== object.listing.etag
      ) {
        throw new BrokenPromise(`${object.key} is listed as another`);
      }
      found.push(stored);
    }
  }
  return found;
}

function byText(left: readonly string[], right: readonly string[]): number {
  const [one, other] = [left.join("\0"), right.join("\0")];
  return one < other ? -1 : one > other ? 1 : 0;
}

function writerOf(object: StoredObject): string {
  return object.record.attributes.user[0]?.[1] ?? "";
}

/**
 * Every answer must be the one of a store that does one operation after another, and what is there
 * must be the state after some of them: all that were acknowledged, each whole, none skipped.
 *
 * @returns the state that was found.
 */
export function checkHistory(
  base: ModelState,
  entries: readonly Entry[],
  shown: string,
  options: { readonly keepsForOthers?: boolean } = {},
): ModelState {
  const lastAnswered = entries.findLastIndex((entry) => entry.outcome !== undefined);
  let state = base;
  let found = lastAnswered < 0 && showModel(base) === shown ? base : undefined;
  for (const [index, { operation, outcome }] of entries.entries()) {
    const applied = applyOne(state, operation, outcome, options.keepsForOthers === true);
    if (outcome !== undefined && outcome !== applied.outcome) {
      const what = `${index} (${operation.kind})`;
      throw new BrokenPromise(`operation ${what}: ${outcome}, not ${applied.outcome}`);
    }
    state = applied.state;
    if (index >= lastAnswered && found === undefined && showModel(state) === shown) found = state;
  }
  if (found !== undefined) return found;
  throw new BrokenPromise(`the store holds ${shown}, but should hold ${showModel(state)}`);
}

/**
 * What an operation does. A site that knows of others keeps the bytes of deleted versions until all
 * have applied the delete, so that a copy of one may still find them.
 */
function applyOne(
  state: ModelState,
  operation: ModelOperation,
  outcome: string | undefined,
  keepsForOthers: boolean,
): ReturnType<typeof applyToModel> {
  const applied = applyToModel(state, operation);
  const isKept = keepsForOthers && applied.outcome === "source-gone" && outcome === "stored";
  if (!isKept || operation.kind !== "put") return applied;
  return applyToModel(state, { ...operation, shared: false });
}

/** Bodies whole and in part, versions as acknowledged, usage as counted by hand. */
export async function checkContents(
  { store }: Site,
  state: ModelState,
  entries: readonly Entry[],
): Promise<void> {
  const versions = new Map<string, string>();
  for (const { operation, version } of entries) {
    if (version === undefined) continue;
    if (operation.kind === "put") versions.set(operation.object.writer, version);
    if (operation.kind === "complete") versions.set(operation.tag, version);
    if (operation.kind === "append") versions.set(operation.object.writer, version);
  }
  for (const { renamed } of entries) if (renamed !== undefined) versions.delete(renamed);
  const wanted = [...state.versions]
    .sort(([left], [right]) => byText([left], [right]))
    .flatMap(([, list]) => list);
  for (const [index, version] of allVersions(store).entries()) {
    const model = wanted[index];
    if (version.kind !== "object" || model?.kind !== "object") continue;
    const { object } = version;
    const acknowledged = versions.get(writerOf(object));
    if (acknowledged !== undefined && acknowledged !== object.version) {
      throw new BrokenPromise(`${object.key} has another version than was acknowledged`);
    }
    await checkBody(store, object, model.object.contents);
    const id = version.isNull ? "null" : version.version;
    if (store.version(version.bucket, version.key, id)?.isLatest !== version.isLatest) {
      throw new BrokenPromise(`${object.key} is not found by its version`);
    }
  }
  checkUsage(store, state);
}

async function checkBody(
  store: Store,
  object: StoredObject,
  contents: readonly Content[] | undefined,
): Promise<void> {
  const wanted = Buffer.concat((contents ?? []).map(bytesOf));
  const third = Math.floor(wanted.length / 3);
  for (const [start, end] of [
    [0, wanted.length],
    [third, wanted.length - third],
  ] as const) {
    const bytes = await readBody(store, object, start, end);
    if (!bytes.equals(wanted.subarray(start, end))) {
      throw new BrokenPromise(`${object.bucket}/${object.key}: wrong bytes were served`);
    }
  }
  const small = store.readSmallBody(object, { start: 0, end: wanted.length });
  if (small !== undefined && !wanted.equals(small)) {
    throw new BrokenPromise(`${object.bucket}/${object.key}: wrong bytes were served at once`);
  }
}

export async function readBody(
  store: Store,
  object: StoredObject,
  start: number,
  end: number,
): Promise<Buffer> {
  const reader = store.openBody(object, { start, end });
  try {
    const slices: Buffer[] = [];
    for (let slice = await reader.next(); slice !== undefined; slice = await reader.next()) {
      slices.push(Buffer.from(slice));
    }
    return Buffer.concat(slices);
  } finally {
    reader.close();
  }
}

/** Objects are what stands on top of a key; bytes are those of all versions. */
function countUsage(state: ModelState, bucket: string): string {
  const sum = { objects: 0, bytes: 0, versions: 0, markers: 0 };
  const prefixes = new Map<string, { objects: number; bytes: number }>();
  for (const [id, list] of state.versions) {
    const [of, key = ""] = id.split("\0");
    if (of !== bucket) continue;
    const bytes = list.reduce(
      (total, version) => total + (version.kind === "object" ? sizeOf(version.object.contents) : 0),
      0,
    );
    const objects = list[0]?.kind === "object" ? 1 : 0;
    const versions = list.filter(({ kind }) => kind === "object").length;
    sum.objects += objects;
    sum.bytes += bytes;
    sum.versions += versions;
    sum.markers += list.length - versions;
    const slash = key.indexOf("/");
    if (slash < 0 || objects + bytes === 0) continue;
    const prefix = key.slice(0, slash + 1);
    const before = prefixes.get(prefix) ?? { objects: 0, bytes: 0 };
    prefixes.set(prefix, { objects: before.objects + objects, bytes: before.bytes + bytes });
  }
  const { objects, bytes, versions, markers } = sum;
  return JSON.stringify([objects, bytes, versions, markers, [...prefixes].sort()]);
}

function checkUsage(store: Store, state: ModelState): void {
  for (const bucket of state.buckets.keys()) {
    const counted = countUsage(state, bucket);
    const { objects, bytes, versions, deleteMarkers, prefixes } = store.bucketUsage(
      bucketOf(bucket),
    );
    const kept = JSON.stringify([objects, bytes, versions, deleteMarkers, [...prefixes].sort()]);
    if (kept !== counted) throw new BrokenPromise(`usage of ${bucket}: ${kept}, not ${counted}`);
  }
  const uploads = store.stats().multipartUploads;
  if (uploads !== state.uploads.size) throw new BrokenPromise(`${uploads} uploads are counted`);
}

/** Says which rows differ between an index and the one that was made from the log alone. */
export function checkRows(kept: readonly string[], rebuilt: readonly string[]): void {
  const keptSet = new Set(kept);
  const rebuiltSet = new Set(rebuilt);
  const lost = kept.filter((row) => !rebuiltSet.has(row));
  const made = rebuilt.filter((row) => !keptSet.has(row));
  if (lost.length + made.length === 0) return;
  const show = (rows: readonly string[]): string => rows.slice(0, 6).join("; ");
  throw new BrokenPromise(`a rebuild loses ${show(lost)} and makes ${show(made)}`);
}
