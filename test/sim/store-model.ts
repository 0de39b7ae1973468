import { createHash } from "node:crypto";

/*
 * What a store should hold, as a sequence of operations one after another. It knows nothing of
 * logs, segments or indexes.
 */

/** Bytes that follow from a number and a length. `chunked` tells how they are stored. */
export type Content = { readonly id: number; readonly size: number; readonly chunked: boolean };

export type ModelObject = {
  readonly writer: string;
  readonly etag: string;
  readonly contents: readonly Content[];
  /** What was said about it later: the value of its one tag, and whether it is held. */
  readonly tag?: string;
  readonly held?: boolean;
};
/** A version of a key. A marker has the name of the delete that made it. */
export type ModelVersion = { readonly isNull: boolean } & (
  | { readonly kind: "object"; readonly object: ModelObject }
  | { readonly kind: "marker"; readonly name: string }
);
export type ModelUpload = {
  readonly tag: string;
  readonly bucket: string;
  readonly key: string;
  readonly parts: ReadonlyMap<number, { readonly etag: string; readonly content: Content }>;
};
export type ModelState = {
  readonly buckets: ReadonlyMap<string, string>;
  /** By bucket, NUL, name. */
  readonly settings: ReadonlyMap<string, string>;
  /** By bucket, NUL, key: what stands on top of the versions, when it is an object. */
  readonly objects: ReadonlyMap<string, ModelObject>;
  /** The same, newest first; no key has an empty list. */
  readonly versions: ReadonlyMap<string, readonly ModelVersion[]>;
  /** By tag. */
  readonly uploads: ReadonlyMap<string, ModelUpload>;
  /** ETags of completed uploads by tag. */
  readonly results: ReadonlyMap<string, { readonly etag: string; readonly writer: string }>;
  /** States of access keys by id. */
  readonly keys: ReadonlyMap<string, string>;
};

export const EMPTY_STATE: ModelState = {
  buckets: new Map(),
  settings: new Map(),
  versions: new Map(),
  objects: new Map(),
  uploads: new Map(),
  results: new Map(),
  keys: new Map(),
};

/** A version by the writer of its object or the name of its marker, or the null version. */
export type VersionName = "null" | { readonly name: string };

type At = { readonly bucket: string; readonly key: string };
export type ModelOperation =
  | { readonly kind: "create-bucket" | "delete-bucket"; readonly bucket: string }
  | (At & {
      readonly kind: "put";
      readonly object: ModelObject;
      readonly shared: boolean;
      readonly ifNoneMatch: boolean;
    })
  | (At & {
      readonly kind: "append";
      readonly object: Omit<ModelObject, "contents">;
      readonly offset: number;
      readonly content: Content;
    })
  | (At & { readonly kind: "rename"; readonly source: string })
  | { readonly kind: "delete"; readonly name?: string; readonly targets: readonly At[] }
  | (At & { readonly kind: "delete-version"; readonly of: VersionName })
  | (At & {
      readonly kind: "change";
      readonly of: VersionName;
      readonly change: { readonly tag: string } | { readonly held: boolean };
    })
  | {
      readonly kind: "setting";
      readonly bucket: string;
      readonly name: string;
      readonly value: string | undefined;
    }
  | (At & { readonly kind: "create-upload"; readonly tag: string })
  | (At & {
      readonly kind: "put-part";
      readonly tag: string;
      readonly partNumber: number;
      readonly etag: string;
      readonly content: Content;
    })
  | (At & {
      readonly kind: "complete";
      readonly tag: string;
      readonly writer: string;
      readonly parts: ReadonlyArray<{ readonly partNumber: number; readonly etag: string }>;
    })
  | (At & { readonly kind: "abort"; readonly tag: string })
  | { readonly kind: "access-key"; readonly id: string; readonly state: string };

export type Applied = { readonly state: ModelState; readonly outcome: string };

const PART_BYTES_MIN = 5 * 1024 * 1024;

/** The state after an operation, and what the store must answer. */
export function applyToModel(state: ModelState, operation: ModelOperation): Applied {
  switch (operation.kind) {
    case "create-bucket":
      if (state.buckets.has(operation.bucket)) return { state, outcome: "exists" };
      return {
        state: { ...state, buckets: withEntry(state.buckets, operation.bucket, "owner") },
        outcome: "created",
      };
    case "delete-bucket":
      return deleteBucket(state, operation.bucket);
    case "put":
      return put(state, operation);
    case "delete":
      return deleteAll(state, operation);
    case "append":
      return append(state, operation);
    case "rename":
      return rename(state, operation);
    case "delete-version":
      return deleteVersion(state, operation);
    case "change":
      return change(state, operation);
    case "setting":
      return putSetting(state, operation);
    case "access-key":
      return putKey(state, operation);
    default:
      return applyToUploads(state, operation);
  }
}

function objectId(at: At): string {
  return `${at.bucket}\0${at.key}`;
}

export function sizeOf(contents: readonly Content[]): number {
  return contents.reduce((sum, content) => sum + content.size, 0);
}

/** S3's ETag of a multipart object. */
export function multipartEtag(etags: readonly string[]): string {
  const digests = Buffer.concat(etags.map((etag) => Buffer.from(etag, "hex")));
  return `${createHash("md5").update(digests).digest("hex")}-${etags.length}`;
}

type Of<Kind extends ModelOperation["kind"]> = Extract<ModelOperation, { kind: Kind }>;

function withEntry<Value>(
  map: ReadonlyMap<string, Value>,
  key: string,
  value: Value | undefined,
): ReadonlyMap<string, Value> {
  const copy = new Map(map);
  if (value === undefined) copy.delete(key);
  else copy.set(key, value);
  return copy;
}

function deleteBucket(state: ModelState, bucket: string): Applied {
  if (!state.buckets.has(bucket)) return { state, outcome: "no-such-bucket" };
  if ([...state.versions.keys()].some((id) => id.startsWith(`${bucket}\0`))) {
    return { state, outcome: "not-empty" };
  }
  const uploads = new Map([...state.uploads].filter(([, upload]) => upload.bucket !== bucket));
  const settings = new Map([...state.settings].filter(([id]) => !id.startsWith(`${bucket}\0`)));
  const buckets = withEntry(state.buckets, bucket, undefined);
  return { state: { ...state, buckets, uploads, settings }, outcome: "deleted" };
}

/** Versioning is never taken back; whoever has it may only suspend it. */
function putSetting(state: ModelState, { bucket, name, value }: Of<"setting">): Applied {
  if (!state.buckets.has(bucket)) return { state, outcome: "no-such-bucket" };
  const id = `${bucket}\0${name}`;
  if (name === "versioning" && value === undefined && state.settings.has(id)) {
    return { state, outcome: "refused" };
  }
  return {
    state: { ...state, settings: withEntry(state.settings, id, value) },
    outcome: "stored",
  };
}

function withVersions(
  state: ModelState,
  id: string,
  list: readonly ModelVersion[],
): Pick<ModelState, "versions" | "objects"> {
  const [top] = list;
  return {
    versions: withEntry(state.versions, id, list.length === 0 ? undefined : list),
    objects: withEntry(state.objects, id, top?.kind === "object" ? top.object : undefined),
  };
}

function isHeld(version: ModelVersion | undefined): boolean {
  return version?.kind === "object" && version.object.held === true;
}

/** A write on top of a key's versions; undefined when a hold on the null version forbids it. */
function write(
  state: ModelState,
  at: At,
  make: (isNull: boolean) => ModelVersion | undefined,
): Pick<ModelState, "versions" | "objects"> | undefined {
  const id = objectId(at);
  const isNull = state.settings.get(`${at.bucket}\0versioning`) !== "enabled";
  const before = state.versions.get(id) ?? [];
  if (isNull && before.some((version) => version.isNull && isHeld(version))) return undefined;
  const kept = isNull ? before.filter((version) => !version.isNull) : before;
  const made = make(isNull);
  return withVersions(state, id, made === undefined ? kept : [made, ...kept]);
}

function put(state: ModelState, operation: Of<"put">): Applied {
  if (!state.buckets.has(operation.bucket)) return { state, outcome: "no-such-bucket" };
  const id = objectId(operation);
  if (operation.ifNoneMatch && state.objects.has(id)) {
    return { state, outcome: "precondition-failed" };
  }
  const { object } = operation;
  const written = write(state, operation, (isNull) => ({ kind: "object", isNull, object }));
  if (written === undefined) return { state, outcome: "locked" };
  if (operation.shared && !object.contents.every((content) => isNamed(state, content))) {
    return { state, outcome: "source-gone" };
  }
  return { state: { ...state, ...written }, outcome: "stored" };
}

/** Nothing else is under way when an append or a rename is done, so that none is judged twice. */
function append(state: ModelState, operation: Of<"append">): Applied {
  if (!state.buckets.has(operation.bucket)) return { state, outcome: "no-such-bucket" };
  const { tag, held, contents = [] } = state.objects.get(objectId(operation)) ?? {};
  const said = { ...(tag === undefined ? {} : { tag }), ...(held === undefined ? {} : { held }) };
  const object = { ...operation.object, ...said, contents: [...contents, operation.content] };
  const written = write(state, operation, (isNull) => ({ kind: "object", isNull, object }));
  if (written === undefined) return { state, outcome: "locked" };
  if (sizeOf(contents) !== operation.offset) return { state, outcome: "invalid-offset" };
  return { state: { ...state, ...written }, outcome: "stored" };
}

function rename(state: ModelState, { bucket, key, source }: Of<"rename">): Applied {
  if (!state.buckets.has(bucket)) return { state, outcome: "no-such-bucket" };
  const object = state.objects.get(objectId({ bucket, key: source }));
  if (object === undefined) return { state, outcome: "no-such-key" };
  const put = write(state, { bucket, key }, (isNull) => ({ kind: "object", isNull, object }));
  const versioned = state.settings.has(`${bucket}\0versioning`);
  const marker = (isNull: boolean): ModelVersion | undefined =>
    versioned ? { kind: "marker", isNull, name: "" } : undefined;
  const old = { bucket, key: source };
  if (put === undefined || write(state, old, marker) === undefined) {
    return { state, outcome: "locked" };
  }
  if (key === source) return { state, outcome: "renamed" };
  const after = { ...state, ...put };
  return { state: { ...after, ...write(after, old, marker) }, outcome: "renamed" };
}

function find(
  state: ModelState,
  at: At,
  of: VersionName,
): { list: readonly ModelVersion[]; index: number; version: ModelVersion | undefined } {
  const list = state.versions.get(objectId(at)) ?? [];
  const index = list.findIndex((version) => {
    if (of === "null" || version.isNull) return of === "null" && version.isNull;
    const name = version.kind === "object" ? version.object.writer : version.name;
    return name === of.name;
  });
  return { list, index, version: list[index] };
}

function deleteVersion(state: ModelState, operation: Of<"delete-version">): Applied {
  if (!state.buckets.has(operation.bucket)) return { state, outcome: "no-such-bucket" };
  const { list, index, version } = find(state, operation, operation.of);
  if (version === undefined) return { state, outcome: "deleted:false" };
  if (isHeld(version)) return { state, outcome: "locked" };
  const after = withVersions(state, objectId(operation), list.toSpliced(index, 1));
  return { state: { ...state, ...after }, outcome: "deleted:true" };
}

function change(state: ModelState, operation: Of<"change">): Applied {
  if (!state.buckets.has(operation.bucket)) return { state, outcome: "no-such-bucket" };
  const { list, index, version } = find(state, operation, operation.of);
  if (version === undefined) return { state, outcome: "no-such-version" };
  if (version.kind === "marker") return { state, outcome: "delete-marker" };
  const object = { ...version.object, ...operation.change };
  const after = withVersions(state, objectId(operation), list.with(index, { ...version, object }));
  return { state: { ...state, ...after }, outcome: "changed" };
}

/** Whether any object or part names this content, so that its manifest is there. */
function isNamed(state: ModelState, wanted: Content): boolean {
  const same = (content: Content): boolean =>
    content.chunked && content.id === wanted.id && content.size === wanted.size;
  for (const version of [...state.versions.values()].flat()) {
    if (version.kind === "object" && version.object.contents.some(same)) return true;
  }
  for (const { parts } of state.uploads.values()) {
    for (const { content } of parts.values()) if (same(content)) return true;
  }
  return false;
}

function deleteAll(state: ModelState, { targets, name }: Of<"delete">): Applied {
  const outcomes: string[] = [];
  let after = state;
  for (const [index, target] of targets.entries()) {
    if (!after.buckets.has(target.bucket)) {
      outcomes.push("no-such-bucket");
      continue;
    }
    const existed = after.objects.has(objectId(target));
    const versioned = after.settings.has(`${target.bucket}\0versioning`);
    const written = write(after, target, (isNull) =>
      versioned ? { kind: "marker", isNull, name: `${name}.${index}` } : undefined,
    );
    outcomes.push(written === undefined ? "locked" : `deleted:${existed}`);
    after = { ...after, ...written };
  }
  return { state: after, outcome: outcomes.join(",") };
}

/** Revocation is for ever. */
function putKey(state: ModelState, { id, state: next }: Of<"access-key">): Applied {
  const kept = state.keys.get(id) === "revoked" ? "revoked" : next;
  return { state: { ...state, keys: withEntry(state.keys, id, kept) }, outcome: "put" };
}

function applyToUploads(
  state: ModelState,
  operation: Of<"create-upload"> | Of<"put-part"> | Of<"complete"> | Of<"abort">,
): Applied {
  if (!state.buckets.has(operation.bucket)) return { state, outcome: "no-such-bucket" };
  const { tag, bucket, key } = operation;
  if (operation.kind === "create-upload") {
    const upload = { tag, bucket, key, parts: new Map() };
    return {
      state: { ...state, uploads: withEntry(state.uploads, tag, upload) },
      outcome: "created",
    };
  }
  const upload = state.uploads.get(tag);
  if (operation.kind === "complete") return complete(state, operation, upload);
  if (upload === undefined) return { state, outcome: "no-such-upload" };
  if (operation.kind === "abort") {
    return {
      state: { ...state, uploads: withEntry(state.uploads, tag, undefined) },
      outcome: "aborted",
    };
  }
  const { partNumber, etag, content } = operation;
  const parts = new Map(upload.parts).set(partNumber, { etag, content });
  const uploads = withEntry(state.uploads, tag, { ...upload, parts });
  return { state: { ...state, uploads }, outcome: "stored" };
}

function complete(
  state: ModelState,
  operation: Of<"complete">,
  upload: ModelUpload | undefined,
): Applied {
  const { tag, writer } = operation;
  if (upload === undefined) {
    return { state, outcome: state.results.has(tag) ? "already-completed" : "no-such-upload" };
  }
  const nothing = write(state, operation, () => undefined);
  if (nothing === undefined) return { state, outcome: "locked" };
  const found = operation.parts.map(({ partNumber }) => upload.parts.get(partNumber));
  const wrong = operation.parts.some(({ etag }, index) => found[index]?.etag !== etag);
  if (wrong) return { state, outcome: "invalid-part" };
  const contents = found.flatMap((part) => (part === undefined ? [] : [part.content]));
  if (contents.slice(0, -1).some((content) => content.size < PART_BYTES_MIN)) {
    return { state, outcome: "part-too-small" };
  }
  const etag = multipartEtag(operation.parts.map((part) => part.etag));
  const object = { writer: tag, etag, contents };
  const written = write(state, operation, (isNull) => ({ kind: "object", isNull, object }));
  return {
    state: {
      ...state,
      ...written,
      uploads: withEntry(state.uploads, tag, undefined),
      results: withEntry(state.results, tag, { etag, writer }),
    },
    outcome: "stored",
  };
}
