import { patternBytes } from "../support/sdk.ts";
import type { Answer, Ask } from "./s3-client.ts";
import { type BucketWorld, md5, type Part, pathOf, type World } from "./world.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** What answers have told and later requests need: upload ids by key. */
export type Memory = Map<string, string>;
export type MutableWorld = { [bucket: string]: BucketWorld };

/** One request of a workload, and what it makes of the world when it succeeds. */
export type Step = {
  readonly name: string;
  readonly ask: (memory: Memory) => Ask;
  readonly change: (world: MutableWorld) => void;
  /** Takes from the answer what later steps need. */
  readonly learn?: (answer: Answer, memory: Memory) => void;
  /** What a repetition may be told when the first request did succeed. */
  readonly repeated: readonly string[] | "never";
};

/** The world after the step; the one before stays as it is. */
export function worldAfter(world: World, step: Step): World {
  const next: MutableWorld = structuredClone(world);
  step.change(next);
  return next;
}

export function succeeded({ status, code }: Answer): boolean {
  // CompleteMultipartUpload and CopyObject may say 200 before they know.
  return status >= 200 && status < 300 && code === "";
}

function bucketOf(world: MutableWorld, name: string): BucketWorld {
  const bucket = world[name];
  if (bucket === undefined) throw new Error(`the workload has made no bucket ${name}`);
  return bucket;
}

export function createBucket(name: string): Step {
  return {
    name: `create bucket ${name}`,
    ask: () => ({ method: "PUT", path: pathOf(name) }),
    change: (world) => {
      world[name] = { objects: {}, uploads: {} };
    },
    repeated: ["BucketAlreadyOwnedByYou"],
  };
}

function deleteBucket(name: string): Step {
  return {
    name: `delete bucket ${name}`,
    ask: () => ({ method: "DELETE", path: pathOf(name) }),
    change: (world) => {
      delete world[name];
    },
    repeated: ["NoSuchBucket"],
  };
}

type Place = { readonly bucket: string; readonly key: string };

export function put({ bucket, key }: Place, bytes: number, seed: number): Step {
  const body = patternBytes(bytes, seed);
  return {
    name: `put ${bucket}/${key} of ${bytes} bytes`,
    ask: () => ({ method: "PUT", path: pathOf(bucket, key), body }),
    change: (world) => {
      bucketOf(world, bucket).objects[key] = { etag: md5(body), bytes, md5: md5(body) };
    },
    repeated: [],
  };
}

function putNew(place: Place, bytes: number, seed: number): Step {
  const plain = put(place, bytes, seed);
  return {
    ...plain,
    name: `${plain.name} if there is none`,
    ask: (memory) => ({ ...plain.ask(memory), headers: { "If-None-Match": "*" } }),
    repeated: ["PreconditionFailed"],
  };
}

function copy(from: Place, to: Place): Step {
  return {
    name: `copy ${from.key} to ${to.bucket}/${to.key}`,
    ask: () => ({
      method: "PUT",
      path: pathOf(to.bucket, to.key),
      headers: { "X-Amz-Copy-Source": pathOf(from.bucket, from.key) },
    }),
    change: (world) => {
      const source = bucketOf(world, from.bucket).objects[from.key];
      if (source === undefined) throw new Error(`the workload has made no ${from.key}`);
      bucketOf(world, to.bucket).objects[to.key] = { ...source };
    },
    repeated: [],
  };
}

function remove({ bucket, key }: Place): Step {
  return {
    name: `delete ${bucket}/${key}`,
    ask: () => ({ method: "DELETE", path: pathOf(bucket, key) }),
    change: (world) => {
      delete bucketOf(world, bucket).objects[key];
    },
    repeated: [],
  };
}

function removeMany(bucket: string, keys: readonly string[]): Step {
  const body = `<Delete>${keys.map((key) => `<Object><Key>${key}</Key></Object>`).join("")}</Delete>`;
  const digest = Buffer.from(md5(Buffer.from(body)), "hex").toString("base64");
  return {
    name: `delete ${keys.length} objects of ${bucket}`,
    ask: () => ({
      method: "POST",
      path: `${pathOf(bucket)}?delete=`,
      headers: { "Content-MD5": digest },
      body,
    }),
    change: (world) => {
      for (const key of keys) delete bucketOf(world, bucket).objects[key];
    },
    repeated: [],
  };
}

function beginUpload({ bucket, key }: Place): Step {
  return {
    name: `begin the upload ${bucket}/${key}`,
    ask: () => ({ method: "POST", path: `${pathOf(bucket, key)}?uploads=` }),
    change: (world) => {
      bucketOf(world, bucket).uploads[key] = [];
    },
    learn: ({ body }, memory) => {
      memory.set(key, /<UploadId>([^<]*)</.exec(body.toString())?.[1] ?? "");
    },
    // A second one is another upload.
    repeated: "never",
  };
}

function uploadPath(memory: Memory, { bucket, key }: Place, query = ""): string {
  return `${pathOf(bucket, key)}?${query}uploadId=${encodeURIComponent(memory.get(key) ?? "")}`;
}

function sendPart(place: Place, number: number, body: Uint8Array): Step {
  return {
    name: `send part ${number} of ${place.key}`,
    ask: (memory) => ({
      method: "PUT",
      path: uploadPath(memory, place, `partNumber=${number}&`),
      body,
    }),
    change: (world) => {
      const { uploads } = bucketOf(world, place.bucket);
      const others = (uploads[place.key] ?? []).filter((part) => part.number !== number);
      const sent: Part = { number, etag: md5(body), bytes: body.length };
      uploads[place.key] = [...others, sent].sort((left, right) => left.number - right.number);
    },
    repeated: [],
  };
}

function completeUpload(place: Place, parts: readonly Uint8Array[]): Step {
  const tags = parts.map((part) => md5(part));
  const xml = tags.map(
    (tag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>"${tag}"</ETag></Part>`,
  );
  const body = `<CompleteMultipartUpload>${xml.join("")}</CompleteMultipartUpload>`;
  const digests = Buffer.concat(tags.map((tag) => Buffer.from(tag, "hex")));
  const whole = Buffer.concat(parts);
  return {
    name: `complete ${place.key}`,
    ask: (memory) => ({ method: "POST", path: uploadPath(memory, place), body }),
    change: (world) => {
      const { objects, uploads } = bucketOf(world, place.bucket);
      delete uploads[place.key];
      const etag = `${md5(digests)}-${parts.length}`;
      objects[place.key] = { etag, bytes: whole.length, md5: md5(whole) };
    },
    repeated: [],
  };
}

function abortUpload(place: Place): Step {
  return {
    name: `abort ${place.key}`,
    ask: (memory) => ({ method: "DELETE", path: uploadPath(memory, place) }),
    change: (world) => {
      delete bucketOf(world, place.bucket).uploads[place.key];
    },
    repeated: ["NoSuchUpload"],
  };
}

const alpha = (key: string): Place => ({ bucket: "alpha", key });
const FIRST_PART = patternBytes(5 * MIB, 21);
const LAST_PART = patternBytes(90 * KIB, 22);

const MULTIPART: readonly Step[] = [
  beginUpload(alpha("joined")),
  sendPart(alpha("joined"), 1, FIRST_PART),
  sendPart(alpha("joined"), 2, patternBytes(100 * KIB, 23)),
  sendPart(alpha("joined"), 2, LAST_PART),
  completeUpload(alpha("joined"), [FIRST_PART, LAST_PART]),
  beginUpload(alpha("given up")),
  sendPart(alpha("given up"), 1, patternBytes(200 * KIB, 24)),
  abortUpload(alpha("given up")),
  beginUpload(alpha("left open")),
  sendPart(alpha("left open"), 3, patternBytes(3 * KIB, 25)),
];

/** Enough small bodies to fill a segment of 1 MiB, so that one is sealed under way. */
const FILLERS: readonly Step[] = [1, 2, 3, 4, 5, 6, 7].map((number) =>
  put(alpha(`filler-${number}`), 128 * KIB, 30 + number),
);

/** Every kind of write once, in some 150 write-class calls. */
export const WORKLOAD: readonly Step[] = [
  createBucket("alpha"),
  put(alpha("small"), 1000, 1),
  put(alpha("small"), 2000, 2),
  put(alpha("käse/large 🧀"), 4 * MIB + 1, 3),
  ...MULTIPART,
  copy(alpha("joined"), alpha("copy of joined")),
  copy(alpha("small"), alpha("copy of small")),
  putNew(alpha("empty"), 0, 4),
  ...FILLERS,
  put(alpha("käse/large 🧀"), 10, 6),
  removeMany("alpha", ["filler-1", "copy of small"]),
  createBucket("gamma"),
  deleteBucket("gamma"),
  remove(alpha("copy of joined")),
];

/** A shorter one for faults: each kind of system call, once or twice. */
export const SHORT_WORKLOAD: readonly Step[] = [
  createBucket("alpha"),
  put(alpha("small"), 1000, 1),
  put(alpha("large"), 4 * MIB + 1, 3),
  ...MULTIPART.slice(0, 5).filter((_, index) => index !== 2),
  ...FILLERS,
  put(alpha("small"), 2000, 2),
  remove(alpha("large")),
];
