import { expect } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { listingOf } from "../../src/core/object-listing.ts";
import type { ObjectLock } from "../../src/core/object-lock-state.ts";
import type {
  ChangeObjectRequest,
  DeleteObjectRequest,
  DeleteOutcome,
  ListedVersion,
  PutObjectRequest,
  RequestedChange,
  StoredVersion,
} from "../../src/storage/store.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import type { SiteSuite } from "./site-suite.ts";

export const LARGE_BYTES = 150_000;

const alpha = bucketOf("alpha");

type Id = DeleteObjectRequest["version"];

/** What a listing must show of a version that has been read whole. */
export function listingOfVersion(found: StoredVersion): ListedVersion {
  const { key, isLatest } = found;
  const version = found.isNull ? "null" : found.version;
  if (found.kind === "delete-marker") {
    const { kind, deletedMs } = found;
    return { key, isLatest, shown: { kind, version, deletedMs } };
  }
  const listing = listingOf(found.object.record);
  return { key, isLatest, shown: { kind: "object", version, listing } };
}

/** What tests of versions do with the bucket "alpha" of a site. */
export function useVersions({ store, expectSameRowsAfterRebuild }: SiteSuite) {
  async function setVersioning(state: "enabled" | "suspended"): Promise<void> {
    const value = versioningSetting(state);
    const done = await store().putBucketSetting({ bucket: alpha, name: "versioning", value });
    expect(done.outcome).toBe("stored");
  }

  function putRequest(key: string, text: string, lock?: ObjectLock): PutObjectRequest {
    const bytes = Buffer.from(text);
    const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
    const etag = Buffer.from(text.slice(0, 16).padEnd(16)).toString("hex");
    return {
      ...{ bucket: alpha, key: keyOf(key) },
      object: {
        ...{ size: bytes.length, etag, attributes, checksums: [], parts: [] },
        encryption: undefined,
        ...(lock === undefined ? {} : { lock }),
      },
      body: { kind: "inline", bytes },
    };
  }

  async function put(key: string, text: string, lock?: ObjectLock): Promise<string> {
    const done = await store().putObject(putRequest(key, text, lock));
    if (done.outcome !== "stored") throw new Error(done.outcome);
    expect(store().object(alpha, keyOf(key))?.version).toBe(done.stored.version);
    return done.stored.version;
  }

  async function putLarge(key: string, fill: number): Promise<void> {
    const writer = await store().stageBody();
    await writer.write(Buffer.alloc(LARGE_BYTES, fill));
    const request = putRequest(key, "");
    const object = { ...request.object, size: LARGE_BYTES };
    const body = { kind: "staged", staged: await writer.finish() } as const;
    expect((await store().putObject({ ...request, object, body })).outcome).toBe("stored");
  }

  function remove(key: string, version?: string, bypass = false): Promise<DeleteOutcome> {
    return store().deleteObject({
      ...{ bucket: alpha, key: keyOf(key), bypassGovernance: bypass },
      ...(version === undefined ? {} : { version: version as NonNullable<Id> }),
    });
  }

  async function change(key: string, wanted: RequestedChange, version?: string): Promise<string> {
    const request: ChangeObjectRequest = {
      ...{ bucket: alpha, key: keyOf(key), change: wanted },
      ...(version === undefined ? {} : { version: version as NonNullable<Id> }),
    };
    return (await store().changeObject(request)).outcome;
  }

  function all(): StoredVersion[] {
    const cursor = store().versions(alpha);
    const found: StoredVersion[] = [];
    for (let next = cursor.next(); next !== undefined; next = cursor.next()) found.push(next);
    cursor.close();
    expect(listed()).toEqual(found.map(listingOfVersion));
    return found;
  }

  function listed(): ListedVersion[] {
    const cursor = store().listedVersions(alpha);
    const found: ListedVersion[] = [];
    for (let next = cursor.next(); next !== undefined; next = cursor.next()) found.push(next);
    cursor.close();
    return found;
  }

  /** Each version as "key: what it holds", with what clients see of it. */
  async function shown(): Promise<string[]> {
    const lines: string[] = [];
    for (const version of all()) {
      const flags = `${version.isLatest ? " latest" : ""}${version.isNull ? " null" : ""}`;
      if (version.kind === "delete-marker") {
        lines.push(`${version.key}: deleted${flags}`);
        continue;
      }
      const { object } = version;
      const bytes = await readBody(store(), object, 0, object.record.size);
      lines.push(`${object.key}: ${bytes.subarray(0, 20)}${flags}`);
      const small = store().readSmallBody(object, { start: 0, end: object.record.size });
      if (small !== undefined) expect(bytes.equals(small)).toBe(true);
      const id = object.isNull ? "null" : object.version;
      expect(store().version(alpha, object.key, id)).toEqual(version);
      if (version.isLatest) expect(store().currentVersion(alpha, object.key)).toEqual(version);
    }
    return lines;
  }

  async function expectSameAfterRebuild(): Promise<void> {
    const before = await shown();
    await expectSameRowsAfterRebuild();
    expect(await shown()).toEqual(before);
  }

  return {
    setVersioning,
    putRequest,
    put,
    putLarge,
    remove,
    change,
    all,
    listed,
    shown,
    expectSameAfterRebuild,
  };
}
