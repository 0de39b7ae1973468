import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import {
  type BucketName,
  type ObjectKey,
  parseAccessKeyId,
  parseBucketName,
  parseObjectKey,
  type UploadId,
  type VersionId,
} from "../../src/core/names.ts";
import type {
  PutObjectRequest,
  RequestedChange,
  Store,
  StoredObject,
} from "../../src/storage/store.ts";
import type { Content, ModelOperation, VersionName } from "./store-model.ts";

/** An operation in the order in which it was handed to the store. */
export type Entry = {
  readonly operation: ModelOperation;
  /** What the store answered; undefined while nobody knows. */
  outcome: string | undefined;
  /** The version an acknowledged write has got. */
  version: string | undefined;
  /** Whose object a rename has given another version. */
  renamed?: string;
};

const PATTERN_BYTES = 251;

/** The bytes of a content. The pattern's length is prime, so that no page equals another. */
export function bytesOf({ id, size }: Content): Buffer {
  const pattern = Buffer.alloc(PATTERN_BYTES);
  for (let at = 0; at < PATTERN_BYTES; at++) pattern[at] = Math.imul(id + 1, 2 * at + 7) + at;
  pattern.writeUInt32LE(id, 0);
  return Buffer.alloc(size, pattern);
}

export function bucketOf(name: string): BucketName {
  const bucket = parseBucketName(name);
  if (bucket === undefined) throw new Error(`${name} is no bucket name`);
  return bucket;
}

export function keyOf(name: string): ObjectKey {
  const key = parseObjectKey(name);
  if (key === undefined) throw new Error(`${name} is no key`);
  return key;
}

function attributesOf(writer: string): StoredObject["record"]["attributes"] {
  return { system: [], user: [["writer", writer]], storageClass: undefined, tags: [] };
}

/** An operation, and for a copy the source as it was seen: a handle of the store, not the model. */
export type Planned = {
  readonly operation: ModelOperation;
  readonly source?: StoredObject;
  /** The version that the operation names, as the store calls it. */
  readonly version?: VersionId | "null";
};

/** The tag of an upload whose record has survived; ids are only known once it was acknowledged. */
export type UploadIds = Map<string, UploadId>;

/** Names of delete markers whose delete was acknowledged, by version id. */
export type MarkerNames = Map<string, string>;

/**
 * Hands operations to a store and keeps, in that order, what was asked and answered. The order of
 * a log is the order in which its writes were handed over.
 */
export class Journal {
  readonly entries: Entry[] = [];
  readonly #store: Store;
  readonly #uploadIds: UploadIds;
  readonly #markerNames: MarkerNames;

  constructor(store: Store, uploadIds: UploadIds, markerNames: MarkerNames = new Map()) {
    this.#store = store;
    this.#markerNames = markerNames;
    this.#uploadIds = uploadIds;
  }

  /** Does the operation; resolves when it has been answered. */
  async perform({ operation, source, version }: Planned): Promise<void> {
    const body: PutObjectRequest["body"] | undefined =
      source === undefined ? await this.#stage(operation) : { kind: "shared", source };
    const entry: Entry = { operation, outcome: undefined, version: undefined };
    this.entries.push(entry);
    entry.outcome =
      version === undefined
        ? await this.#hand(operation, body, entry)
        : await this.#handVersion(operation, version);
  }

  /** A copy names the source as it is seen now; undefined when there is none to share. */
  source(bucket: string, key: string): StoredObject | undefined {
    const object = this.#store.object(bucketOf(bucket), keyOf(key));
    return object?.record.body.kind === "manifests" ? object : undefined;
  }

  /** The versions of a key as they are seen now, by the names that operations use. */
  versions(
    bucket: string,
    key: string,
  ): Array<{ readonly id: VersionId | "null"; readonly of: VersionName }> {
    const cursor = this.#store.versions(bucketOf(bucket));
    const found: Array<{ readonly id: VersionId | "null"; readonly of: VersionName }> = [];
    cursor.seek(key);
    for (let next = cursor.next(); next?.key === key; next = cursor.next()) {
      const name =
        next.kind === "object"
          ? next.object.record.attributes.user[0]?.[1]
          : this.#markerNames.get(next.version);
      if (next.isNull) found.push({ id: "null", of: "null" });
      else if (name !== undefined) found.push({ id: next.version, of: { name } });
    }
    cursor.close();
    const isOnly = ({ of }: (typeof found)[number]): boolean =>
      of === "null" ||
      found.filter((other) => other.of !== "null" && other.of.name === of.name).length === 1;
    // An object that was renamed there and back is twice under one key.
    return found.filter(isOnly);
  }

  async #handVersion(operation: ModelOperation, version: VersionId | "null"): Promise<string> {
    if (operation.kind !== "delete-version" && operation.kind !== "change") {
      throw new Error(`${operation.kind} names no version`);
    }
    const name = { bucket: bucketOf(operation.bucket), key: keyOf(operation.key), version };
    if (operation.kind === "delete-version") {
      const done = await this.#store.deleteObject(name);
      return done.outcome === "deleted" ? `deleted:${done.existed}` : done.outcome;
    }
    const { change } = operation;
    const wanted: RequestedChange =
      "tag" in change
        ? { kind: "tags", tags: [["tag", change.tag]] }
        : { kind: "legal-hold", on: change.held };
    return (await this.#store.changeObject({ ...name, change: wanted })).outcome;
  }

  async #putSetting(
    operation: Extract<ModelOperation, { readonly kind: "setting" }>,
  ): Promise<string> {
    const { name, value } = operation;
    const stored =
      name === "versioning" && (value === "enabled" || value === "suspended")
        ? versioningSetting(value)
        : value === undefined
          ? undefined
          : Buffer.from(value);
    const bucket = bucketOf(operation.bucket);
    return (await this.#store.putBucketSetting({ bucket, name, value: stored })).outcome;
  }

  /** The size of an object as it is seen now; 0 when there is none. */
  sizeOf(bucket: string, key: string): number {
    return this.#store.object(bucketOf(bucket), keyOf(key))?.record.size ?? 0;
  }

  async #stage(operation: ModelOperation): Promise<PutObjectRequest["body"] | undefined> {
    if (operation.kind === "put-part") return this.#stageContent(operation.content);
    if (operation.kind === "append") {
      const { content } = operation;
      if (content.chunked) return this.#stageContent(content);
      return { kind: "inline", bytes: bytesOf(content) };
    }
    if (operation.kind !== "put") return undefined;
    const [content] = operation.object.contents;
    if (content === undefined) return { kind: "inline", bytes: Buffer.alloc(0) };
    if (content.chunked) return this.#stageContent(content);
    return { kind: "inline", bytes: bytesOf(content) };
  }

  async #stageContent(content: Content): Promise<PutObjectRequest["body"]> {
    const writer = await this.#store.stageBody();
    const bytes = bytesOf(content);
    const half = Math.floor(bytes.length / 2);
    await writer.write(bytes.subarray(0, half));
    await writer.write(bytes.subarray(half));
    return { kind: "staged", staged: await writer.finish() };
  }

  async #hand(
    operation: ModelOperation,
    body: PutObjectRequest["body"] | undefined,
    entry: Entry,
  ): Promise<string> {
    const store = this.#store;
    switch (operation.kind) {
      case "create-bucket": {
        const name = bucketOf(operation.bucket);
        return (await store.createBucket({ name, owner: "owner" })).outcome;
      }
      case "delete-bucket":
        return (await store.deleteBucket(bucketOf(operation.bucket))).outcome;
      case "put":
        return this.#put(operation, body, entry);
      case "delete": {
        const requests = operation.targets.map((target) => ({
          bucket: bucketOf(target.bucket),
          key: keyOf(target.key),
        }));
        const outcomes = await store.deleteObjects(requests);
        for (const [index, done] of outcomes.entries()) {
          if (done.outcome !== "deleted" || done.deleteMarker === undefined) continue;
          this.#markerNames.set(done.deleteMarker, `${operation.name}.${index}`);
        }
        return outcomes
          .map((one) => (one.outcome === "deleted" ? `deleted:${one.existed}` : one.outcome))
          .join(",");
      }
      case "append":
        return this.#append(operation, body, entry);
      case "rename": {
        const at = { bucket: bucketOf(operation.bucket), source: keyOf(operation.source) };
        const writer = store.object(at.bucket, at.source)?.record.attributes.user[0]?.[1];
        if (writer !== undefined) entry.renamed = writer;
        const request = { ...at, key: keyOf(operation.key), token: undefined };
        return (await store.renameObject(request)).outcome;
      }
      case "setting":
        return this.#putSetting(operation);
      case "delete-version":
      case "change":
        throw new Error("a version has an id");
      case "access-key":
        return this.#putKey(operation.id, operation.state);
      default:
        return this.#handUpload(operation, body, entry);
    }
  }

  async #put(
    operation: Extract<ModelOperation, { kind: "put" }>,
    body: PutObjectRequest["body"] | undefined,
    entry: Entry,
  ): Promise<string> {
    const { object } = operation;
    if (body === undefined) throw new Error("a put has a body");
    const size = object.contents.reduce((sum, content) => sum + content.size, 0);
    const attributes = attributesOf(object.writer);
    const { etag } = object;
    const done = await this.#store.putObject({
      bucket: bucketOf(operation.bucket),
      key: keyOf(operation.key),
      object: { size, etag, attributes, checksums: [], parts: [], encryption: undefined },
      body,
      ...(operation.ifNoneMatch ? { conditions: { ifNoneMatch: ["*"] } } : {}),
    });
    if (done.outcome === "stored") entry.version = done.stored.version;
    return done.outcome;
  }

  async #append(
    operation: Extract<ModelOperation, { kind: "append" }>,
    body: PutObjectRequest["body"] | undefined,
    entry: Entry,
  ): Promise<string> {
    const { content, offset, object } = operation;
    if (body === undefined || body.kind === "shared") throw new Error("an append has bytes");
    const attributes = attributesOf(object.writer);
    const done = await this.#store.appendObject({
      ...{ bucket: bucketOf(operation.bucket), key: keyOf(operation.key), offset, body },
      describe: (current) => ({
        ...{ size: (current?.size ?? 0) + content.size, etag: object.etag },
        attributes: { ...attributes, tags: current?.attributes.tags ?? [] },
        ...{ checksums: [], parts: [], encryption: undefined, lock: current?.lock },
      }),
    });
    if (done.outcome === "stored") entry.version = done.stored.version;
    return done.outcome;
  }

  async #putKey(id: string, state: string): Promise<string> {
    const parsed = parseAccessKeyId(id);
    if (parsed === undefined) throw new Error(`${id} is no access key id`);
    await this.#store.putAccessKey({
      id: parsed,
      state: state === "revoked" ? "revoked" : state === "active" ? "active" : "disabled",
      name: id,
      sealedSecret: Buffer.from("sealed"),
      policies: [],
      createdMs: 1,
    });
    return "put";
  }

  async #handUpload(
    operation: Extract<ModelOperation, { readonly tag: string }>,
    body: PutObjectRequest["body"] | undefined,
    entry: Entry,
  ): Promise<string> {
    const store = this.#store;
    const name = { bucket: bucketOf(operation.bucket), key: keyOf(operation.key) };
    if (operation.kind === "create-upload") {
      const { tag } = operation;
      const done = await store.createUpload({
        ...name,
        initiator: tag,
        attributes: attributesOf(tag),
        encryption: undefined,
        checksum: undefined,
      });
      if (done.outcome === "created") this.#uploadIds.set(tag, done.upload.uploadId);
      return done.outcome;
    }
    const uploadId = this.#uploadIds.get(operation.tag);
    if (uploadId === undefined) throw new Error(`upload ${operation.tag} has no id yet`);
    if (operation.kind === "abort") {
      return (await store.abortUpload(name.bucket, name.key, uploadId)).outcome;
    }
    if (operation.kind === "put-part") {
      if (body?.kind !== "staged") throw new Error("a part has a body");
      const { partNumber, etag } = operation;
      const part = { ...name, uploadId, partNumber, etag, checksums: [], body };
      return (await store.putPart(part)).outcome;
    }
    const parts = operation.parts.map((part) => ({ ...part, checksums: [] }));
    const done = await store.completeUpload({ ...name, uploadId, parts, combine: () => [] });
    if (done.outcome === "stored") entry.version = done.stored.version;
    return done.outcome;
  }
}
