import {
  OBJECT_LOCK_SETTING,
  VERSIONING_SETTING,
  versioningSetting,
} from "../../../src/core/bucket-versioning.ts";
import { METADATA_FIRST, REPLICATE_SETTING } from "../../../src/core/metadata-first.ts";
import type { BucketName, ObjectKey, VersionId } from "../../../src/core/names.ts";
import type { Operation } from "../../../src/core/records.ts";
import type { PutObjectRequest, RequestedChange, Store } from "../../../src/storage/store.ts";
import type { Seed } from "../seed.ts";
import { bucketOf, bytesOf, keyOf } from "../store-journal.ts";
import { type Content, sizeOf } from "../store-model.ts";
import {
  accessKeyOf,
  attributesOf,
  type Contents,
  etagOf,
  listVersions,
  writerOf,
} from "./client-words.ts";
import { modeWish } from "./rows-first.ts";

const BUCKETS = ["alpha", "beta", "gamma"];
const KEYS = ["a", "b", "dir/a", "dir/b", "z"];
const ACCESS_KEYS = ["AKIAONE", "AKIATWO"];
const HOLD_MS_MAX = 120_000;
const CHUNK_BYTES = 4 * 1024 * 1024;

/** What a client was told, and how the log shows that it was true. */
export type Told = {
  readonly outcome: string;
  /** Holds for an operation that must stand in the log of the site now; none: nothing changed. */
  readonly proof?: (operation: Operation) => boolean;
};

/** A request: what it is called, and what doing it at a store comes to. */
export type Wish = { readonly name: string; readonly send: (store: Store) => Promise<Told> };

export type ClientSettings = {
  /** Versions, locks, buckets that come and go, keys, large bodies: what a run is about. */
  readonly versioned: boolean;
  readonly locks: boolean;
  /** Every bucket keeps versions, and two fifths of all requests are about them. */
  readonly manyLocks?: boolean;
  readonly buckets: boolean;
  readonly large: boolean;
  /** Buckets show rows before their bytes are there, now and then. */
  readonly rowsFirst: boolean;
};

type At = { readonly bucket: BucketName; readonly key: ObjectKey };

/** Thinks of requests. Names are few, so that sites meet over them. */
export class Client {
  readonly #seed: Seed;
  readonly #contents: Contents;
  readonly #settings: ClientSettings;
  readonly #nowMs: () => number;
  #count = 0;

  constructor(seed: Seed, settings: ClientSettings, contents: Contents, nowMs: () => number) {
    this.#seed = seed;
    this.#settings = settings;
    this.#contents = contents;
    this.#nowMs = nowMs;
  }

  /** The next request to a store; some look at what is there. */
  next(store: Store): Wish {
    const at = { bucket: this.#bucket(), key: keyOf(this.#seed.pick(KEYS)) };
    if (this.#settings.manyLocks && this.#seed.chance(0.4)) return this.#aboutVersion(at, store);
    const dice = this.#seed.int(100);
    if (dice < 40) return this.#put(at);
    if (dice < 55) return this.#delete(at);
    if (dice < 67) return this.#aboutVersion(at, store);
    if (dice < 71) return this.#rename(at);
    if (dice < 76) return this.#append(at);
    if (dice < 80) return this.#copy(at, store);
    if (dice < 83) return this.#upload(at);
    if (dice < 87) return this.#accessKey();
    if (dice < 91 && this.#settings.buckets) return this.#deleteBucket(at.bucket);
    if (dice < 95) return this.#createBucket(at.bucket);
    return this.#setting(at.bucket);
  }

  /** What makes a site ready for the rest. */
  first(): Wish {
    return this.#createBucket(bucketOf("alpha"));
  }

  #bucket(): BucketName {
    return bucketOf(this.#seed.chance(0.7) ? "alpha" : this.#seed.pick(BUCKETS));
  }

  #writer(): string {
    return `${this.#seed.toString().split("/").at(-1)}-${this.#count++}`;
  }

  #content(): Content {
    if (this.#settings.rowsFirst && this.#seed.chance(0.4)) return this.#chunked();
    const dice = this.#seed.int(100);
    if (dice < 5) return { id: 0, size: 0, chunked: false };
    if (dice < 80) {
      return { id: this.#seed.int(1000), size: 1 + this.#seed.int(2000), chunked: false };
    }
    if (dice < 90) {
      return { id: this.#seed.int(1000), size: this.#seed.int(100_000), chunked: false };
    }
    return this.#chunked();
  }

  /** Contents of which there are few, so that sites have each other's chunks already. */
  #chunked(): Content {
    const large = this.#settings.large && this.#seed.chance(0.2);
    const size = large ? CHUNK_BYTES + 100_000 : 140_000 + this.#seed.int(2) * 40_000;
    return { id: this.#seed.int(4), size, chunked: true };
  }

  #put(at: At): Wish {
    const writer = this.#writer();
    const content = this.#content();
    const contents = content.size === 0 ? [] : [content];
    this.#contents.set(writer, contents);
    const conditions = this.#seed.chance(0.1) ? { conditions: { ifNoneMatch: ["*"] } } : {};
    return {
      name: `put ${at.bucket}/${at.key} ${writer}`,
      send: async (store) => {
        const body = await bodyFor(store, content);
        const object = describeObject(writer, contents);
        const { outcome } = await store.putObject({ ...at, object, body, ...conditions });
        return outcome === "stored" ? { outcome, proof: isPutOf(writer) } : { outcome };
      },
    };
  }

  #delete(at: At): Wish {
    const more = this.#seed.chance(0.2) ? this.#seed.shuffle(KEYS).slice(0, 3) : [];
    const keys = [...new Set([at.key, ...more.map(keyOf)])];
    return {
      name: `delete ${at.bucket}/${keys.join()}`,
      send: async (store) => {
        const requests = keys.map((key) => ({ bucket: at.bucket, key }));
        const done = await store.deleteObjects(requests);
        const first = done[0];
        const changed =
          first?.outcome === "deleted" && (first.existed || first.deleteMarker !== undefined);
        const outcome = done.map((one) => one.outcome).join();
        const proof = ({ body }: Operation): boolean =>
          isDelete(body) && body.bucket === at.bucket && body.key === at.key;
        return changed ? { outcome, proof } : { outcome };
      },
    };
  }

  /** Removes a version that is there, or changes what is said about it. */
  #aboutVersion(at: At, store: Store): Wish {
    const versions = listVersions(store, at.bucket).filter(({ key }) => key === at.key);
    if (versions.length === 0) return this.#put(at);
    const picked = this.#seed.pick(versions);
    const version = picked.isNull ? "null" : picked.version;
    if (picked.kind === "delete-marker" || this.#seed.chance(0.5)) {
      return deleteVersion(at, version);
    }
    return changeVersion(at, version, this.#change());
  }

  #change(): RequestedChange {
    if (!this.#settings.locks || this.#seed.chance(0.5)) {
      return { kind: "tags", tags: [["tag", this.#writer()]] };
    }
    if (this.#seed.chance(0.5)) return { kind: "legal-hold", on: this.#seed.chance(0.4) };
    const untilMs = this.#nowMs() + this.#seed.int(HOLD_MS_MAX);
    const mode = this.#seed.chance(0.5) ? "GOVERNANCE" : "COMPLIANCE";
    const retention = this.#seed.chance(0.2) ? undefined : ({ mode, untilMs } as const);
    return { kind: "retention", retention, bypassGovernance: this.#seed.chance(0.5) };
  }

  #rename(at: At): Wish {
    const source = keyOf(this.#seed.pick(KEYS));
    return {
      name: `rename ${at.bucket}/${source} ${at.key}`,
      send: async (store) => {
        const { bucket, key } = at;
        const done = await store.renameObject({ bucket, source, key, token: undefined });
        const proof = ({ body }: Operation): boolean =>
          body.kind === "object-put" && body.bucket === bucket && body.key === key;
        return done.outcome === "renamed" && source !== key
          ? { outcome: done.outcome, proof }
          : { outcome: done.outcome };
      },
    };
  }

  #append(at: At): Wish {
    const writer = this.#writer();
    const content = this.#seed.chance(0.2)
      ? this.#chunked()
      : { id: this.#seed.int(1000), size: 1 + this.#seed.int(2000), chunked: false };
    return {
      name: `append ${at.bucket}/${at.key} ${writer}`,
      send: async (store) => {
        const body = await bodyFor(store, content);
        const offset = store.object(at.bucket, at.key)?.record.size ?? 0;
        const { outcome } = await store.appendObject({
          ...{ ...at, offset, body },
          describe: (current) => {
            const before = current === undefined ? [] : this.#contents.get(writerOf(current));
            const contents = [...(before ?? []), content];
            this.#contents.set(writer, contents);
            return { ...describeObject(writer, contents), lock: current?.lock };
          },
        });
        return outcome === "stored" ? { outcome, proof: isPutOf(writer) } : { outcome };
      },
    };
  }

  /** Shares the chunks of a large object; of a small one, or none, a plain put. */
  #copy(at: At, store: Store): Wish {
    const source = store.object(at.bucket, keyOf(this.#seed.pick(KEYS)));
    if (source === undefined || source.record.body.kind !== "manifests") return this.#put(at);
    const writer = this.#writer();
    const contents = this.#contents.get(writerOf(source.record)) ?? [];
    this.#contents.set(writer, contents);
    return {
      name: `copy ${at.bucket}/${source.key} ${at.key} ${writer}`,
      send: async (sameStore) => {
        const object = describeObject(writer, contents);
        const body = { kind: "shared", source } as const;
        const { outcome } = await sameStore.putObject({ ...at, object, body });
        return outcome === "stored" ? { outcome, proof: isPutOf(writer) } : { outcome };
      },
    };
  }

  #upload(at: At): Wish {
    const writer = this.#writer();
    const content = this.#chunked();
    this.#contents.set(writer, [content]);
    const finish = !this.#seed.chance(0.2);
    return {
      name: `upload ${at.bucket}/${at.key} ${writer}`,
      send: async (store) => {
        const attributes = attributesOf(writer);
        const begun = await store.createUpload({
          ...{ ...at, initiator: writer, attributes, encryption: undefined, checksum: undefined },
        });
        if (begun.outcome !== "created") return { outcome: begun.outcome };
        const { uploadId } = begun.upload;
        const body = await bodyFor(store, content);
        if (body.kind !== "staged") throw new Error("a part has a body of its own");
        const etag = etagOf([content]);
        const part = { ...at, uploadId, partNumber: 1, etag, checksums: [], body };
        const put = await store.putPart(part);
        if (put.outcome !== "stored" || !finish) return { outcome: put.outcome };
        const parts = [{ partNumber: 1, etag, checksums: [] }];
        const done = await store.completeUpload({ ...at, uploadId, parts, combine: () => [] });
        const { outcome } = done;
        return outcome === "stored" ? { outcome, proof: isPutOf(writer) } : { outcome };
      },
    };
  }

  #accessKey(): Wish {
    const id = accessKeyOf(this.#seed.pick(ACCESS_KEYS));
    const dice = this.#seed.int(10);
    const state = dice < 5 ? "active" : dice < 9 ? "disabled" : "revoked";
    const name = this.#writer();
    return {
      name: `access key ${id} ${state} ${name}`,
      send: async (store) => {
        const sealedSecret = Buffer.from(`sealed ${name}`);
        await store.putAccessKey({ id, state, name, sealedSecret, policies: [], createdMs: 1 });
        const proof = ({ body }: Operation): boolean =>
          body.kind === "access-key-put" && body.accessKey.id === id;
        // An id that was revoked stays so, and nothing is written.
        const isRefused = state !== "revoked" && store.accessKey(id)?.state === "revoked";
        return isRefused ? { outcome: "revoked" } : { outcome: "put", proof };
      },
    };
  }

  #createBucket(name: BucketName): Wish {
    const settings = new Map<string, Uint8Array>();
    const { manyLocks = false, versioned } = this.#settings;
    if (manyLocks || (versioned && this.#seed.chance(0.5))) {
      settings.set(VERSIONING_SETTING, versioningSetting("enabled"));
      if (this.#settings.locks) settings.set(OBJECT_LOCK_SETTING, Buffer.from("on"));
    }
    if (this.#settings.rowsFirst && this.#seed.chance(0.5)) {
      settings.set(REPLICATE_SETTING, METADATA_FIRST);
    }
    return {
      name: `create bucket ${name}`,
      send: async (store) => {
        const { outcome } = await store.createBucket({ name, owner: "owner", settings });
        const proof = ({ body }: Operation): boolean =>
          body.kind === "bucket-create" && body.bucket === name;
        return outcome === "created" ? { outcome, proof } : { outcome };
      },
    };
  }

  #deleteBucket(name: BucketName): Wish {
    return {
      name: `delete bucket ${name}`,
      send: async (store) => {
        const { outcome } = await store.deleteBucket(name);
        const proof = ({ body }: Operation): boolean =>
          body.kind === "bucket-delete" && body.bucket === name;
        return outcome === "deleted" ? { outcome, proof } : { outcome };
      },
    };
  }

  #setting(bucket: BucketName): Wish {
    if (this.#settings.rowsFirst && this.#seed.chance(0.5)) return modeWish(this.#seed, bucket);
    const versioning = this.#settings.versioned && this.#seed.chance(0.5);
    const name = versioning ? VERSIONING_SETTING : this.#seed.pick(["policy", "cors"]);
    const text = Buffer.from(this.#writer());
    const state = this.#seed.chance(0.6) ? "enabled" : "suspended";
    const other = this.#seed.chance(0.3) ? undefined : text;
    const value = versioning ? versioningSetting(state) : other;
    return {
      name: `setting ${bucket} ${name}`,
      send: async (store) => {
        const { outcome } = await store.putBucketSetting({ bucket, name, value });
        const proof = ({ body }: Operation): boolean =>
          body.kind === "bucket-setting" && body.bucket === bucket && body.name === name;
        return outcome === "stored" ? { outcome, proof } : { outcome };
      },
    };
  }
}

/** Whether it is a client's: what a site says again is no proof that a client was told the truth. */
function isDelete(body: Operation["body"]): body is Deletion {
  return body.kind === "object-delete" && body.standsAt === undefined;
}

type Deletion = Extract<Operation["body"], { kind: "object-delete" }>;

function deleteVersion(at: At, version: VersionId | "null"): Wish {
  return {
    name: `delete version ${at.bucket}/${at.key} ${version}`,
    send: async (store) => {
      const done = await store.deleteObject({ ...at, version });
      const { outcome } = done;
      const proof = ({ body }: Operation): boolean =>
        (body.kind === "version-delete" || isDelete(body)) && body.key === at.key;
      return done.outcome === "deleted" && done.existed ? { outcome, proof } : { outcome };
    },
  };
}

function changeVersion(at: At, version: VersionId | "null", change: RequestedChange): Wish {
  return {
    name: `change ${at.bucket}/${at.key} ${version} ${change.kind}`,
    send: async (store) => {
      const { outcome } = await store.changeObject({ ...at, version, change });
      const proof = ({ body }: Operation): boolean =>
        body.kind === "object-meta" && body.key === at.key && body.change.kind === change.kind;
      return outcome === "changed" ? { outcome, proof } : { outcome };
    },
  };
}

function isPutOf(writer: string): (operation: Operation) => boolean {
  return ({ body }) => body.kind === "object-put" && writerOf(body.object) === writer;
}

function describeObject(writer: string, contents: readonly Content[]): PutObjectRequest["object"] {
  const size = sizeOf(contents);
  return {
    ...{ size, etag: etagOf(contents), attributes: attributesOf(writer) },
    ...{ checksums: [], parts: [], encryption: undefined },
  };
}

async function bodyFor(
  store: Store,
  content: Content,
): Promise<Exclude<PutObjectRequest["body"], { kind: "shared" }>> {
  const bytes = bytesOf(content);
  if (!content.chunked) return { kind: "inline", bytes };
  const writer = await store.stageBody();
  const half = Math.floor(bytes.length / 2);
  await writer.write(bytes.subarray(0, half));
  await writer.write(bytes.subarray(half));
  return { kind: "staged", staged: await writer.finish() };
}
