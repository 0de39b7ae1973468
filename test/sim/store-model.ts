import { createHash } from "node:crypto";

/**
 * What a store should hold, as a sequence of operations one after another. It knows nothing of
 * logs, segments or indexes.
 */

/** Bytes that follow from a number and a length. `chunked` tells how they are stored. */
export type Content = { readonly id: number; readonly size: number; readonly chunked: boolean };

export type ModelObject = {
  readonly writer: string;
  readonly etag: string;
  readonly contents: readonly Content[];
};
export type ModelUpload = {
  readonly tag: string;
  readonly bucket: string;
  readonly key: string;
  readonly parts: ReadonlyMap<number, { readonly etag: string; readonly content: Content }>;
};
export type ModelState = {
  readonly buckets: ReadonlyMap<string, string>;
  /** By bucket, NUL, key. */
  readonly objects: ReadonlyMap<string, ModelObject>;
  /** By tag. */
  readonly uploads: ReadonlyMap<string, ModelUpload>;
  /** ETags of completed uploads by tag. */
  readonly results: ReadonlyMap<string, { readonly etag: string; readonly writer: string }>;
  /** States of access keys by id. */
  readonly keys: ReadonlyMap<string, string>;
};

export const EMPTY_STATE: ModelState = {
  buckets: new Map(),
  objects: new Map(),
  uploads: new Map(),
  results: new Map(),
  keys: new Map(),
};

type At = { readonly bucket: string; readonly key: string };
export type ModelOperation =
  | { readonly kind: "create-bucket" | "delete-bucket"; readonly bucket: string }
  | (At & {
      readonly kind: "put";
      readonly object: ModelObject;
      readonly shared: boolean;
      readonly ifNoneMatch: boolean;
    })
  | { readonly kind: "delete"; readonly targets: readonly At[] }
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
      return deleteAll(state, operation.targets);
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
  if ([...state.objects.keys()].some((id) => id.startsWith(`${bucket}\0`))) {
    return { state, outcome: "not-empty" };
  }
  const uploads = new Map([...state.uploads].filter(([, upload]) => upload.bucket !== bucket));
  const buckets = withEntry(state.buckets, bucket, undefined);
  return { state: { ...state, buckets, uploads }, outcome: "deleted" };
}

function put(state: ModelState, operation: Of<"put">): Applied {
  if (!state.buckets.has(operation.bucket)) return { state, outcome: "no-such-bucket" };
  const id = objectId(operation);
  if (operation.ifNoneMatch && state.objects.has(id)) {
    return { state, outcome: "precondition-failed" };
  }
  const { contents } = operation.object;
  if (operation.shared && !contents.every((content) => isNamed(state, content))) {
    return { state, outcome: "source-gone" };
  }
  const objects = withEntry(state.objects, id, operation.object);
  return { state: { ...state, objects }, outcome: "stored" };
}

/** Whether any object or part names this content, so that its manifest is there. */
function isNamed(state: ModelState, wanted: Content): boolean {
  const same = (content: Content): boolean =>
    content.chunked && content.id === wanted.id && content.size === wanted.size;
  for (const object of state.objects.values()) if (object.contents.some(same)) return true;
  for (const { parts } of state.uploads.values()) {
    for (const { content } of parts.values()) if (same(content)) return true;
  }
  return false;
}

function deleteAll(state: ModelState, targets: readonly At[]): Applied {
  const outcomes: string[] = [];
  const objects = new Map(state.objects);
  for (const target of targets) {
    const known = state.buckets.has(target.bucket);
    const existed = objects.delete(objectId(target));
    outcomes.push(known ? `deleted:${existed}` : "no-such-bucket");
  }
  return { state: { ...state, objects }, outcome: outcomes.join(",") };
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
  const found = operation.parts.map(({ partNumber }) => upload.parts.get(partNumber));
  const wrong = operation.parts.some(({ etag }, index) => found[index]?.etag !== etag);
  if (wrong) return { state, outcome: "invalid-part" };
  const contents = found.flatMap((part) => (part === undefined ? [] : [part.content]));
  if (contents.slice(0, -1).some((content) => content.size < PART_BYTES_MIN)) {
    return { state, outcome: "part-too-small" };
  }
  const etag = multipartEtag(operation.parts.map((part) => part.etag));
  return {
    state: {
      ...state,
      objects: withEntry(state.objects, objectId(operation), { writer: tag, etag, contents }),
      uploads: withEntry(state.uploads, tag, undefined),
      results: withEntry(state.results, tag, { etag, writer }),
    },
    outcome: "stored",
  };
}
