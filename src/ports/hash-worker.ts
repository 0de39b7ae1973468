/** What the pool tells a worker. `update` lends it shared memory until it says "done". */
export type HashRequest =
  | { readonly kind: "open"; readonly stream: number; readonly algorithms: readonly string[] }
  | {
      readonly kind: "update";
      readonly stream: number;
      /** Repeated in the answer: the number of a slot of the stream, or of a loan if negative. */
      readonly slot: number;
      readonly memory: SharedArrayBuffer;
      readonly offset: number;
      /** A multiple of 64 in all updates of a stream but the last. */
      readonly length: number;
    }
  | { readonly kind: "digest" | "abort"; readonly stream: number };

export type HashReply =
  | { readonly kind: "done"; readonly stream: number; readonly slot: number }
  | {
      readonly kind: "digests";
      readonly stream: number;
      readonly digests: ReadonlyArray<readonly [string, Uint8Array]>;
    };

/** What a worker is started with. */
export type HashWorkerData = {
  /** Where packages are looked up from. */
  readonly from: string;
  readonly polynomial: string;
  /** The bytes of the kernel of MD5 and CRC64NVME, and its layout. */
  readonly kernel: Uint8Array;
  readonly layout: object;
};

/**
 * The code of a hash worker. It is text because a worker of Node 20 cannot load TypeScript, and the
 * same program must run from sources and from `dist`.
 *
 * The worker reads all waiting messages before it computes anything, so that the MD5s of up to four
 * streams are computed together: the busier the worker, the more that saves.
 */
export const HASH_WORKER_CODE = `"use strict";
const { parentPort, workerData, receiveMessageOnPort } = require("node:worker_threads");
const { createHash } = require("node:crypto");
const load = require("node:module").createRequire(workerData.from);

const { lanes, blockBytes, stateAt, rowBytes, crcAt, windowsAt, windowBytes, windowStride } =
  workerData.layout;
const kernel = new WebAssembly.Instance(new WebAssembly.Module(workerData.kernel)).exports;
const memory = new Uint8Array(kernel.memory.buffer);
const words = new Int32Array(kernel.memory.buffer);

// The state of a stream: the four words of its MD5, the two of its CRC, and what was hashed.
const MD5_START = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
const placeOf = (lane, word) =>
  (word < 4 ? stateAt + word * rowBytes + lane * 4 : crcAt + lane * 8 + (word - 4) * 4) / 4;
const enter = ({ state }, lane) => {
  for (let word = 0; word < 6; word++) words[placeOf(lane, word)] = state[word];
};
const leave = ({ state }, lane) => {
  for (let word = 0; word < 6; word++) state[word] = words[placeOf(lane, word)];
};
const put = (bytes, lane) => memory.set(bytes, windowsAt + lane * windowStride);

// Takes whole blocks of up to four streams, as many as all of them have; returns how many bytes.
const takeTogether = (group) => {
  const shortest = Math.min(...group.map(({ bytes }) => bytes.length));
  const common = shortest - (shortest % blockBytes);
  for (const [lane, { stream }] of group.entries()) enter(stream, lane);
  for (let at = 0; at < common; ) {
    const count = Math.min(windowBytes, common - at);
    for (const [lane, { bytes }] of group.entries()) put(bytes.subarray(at, at + count), lane);
    if (group.length === 1) kernel.one(0, count / blockBytes);
    else kernel.four(count / blockBytes);
    at += count;
  }
  for (const [lane, { stream }] of group.entries()) {
    leave(stream, lane);
    stream.bytes += common;
  }
  return common;
};

// What is no whole block any more is the end of the stream.
const takeEnd = (stream, bytes) => {
  if (bytes.length === 0) return;
  stream.end = bytes.slice();
  stream.bytes += bytes.length;
  enter(stream, 0);
  put(bytes, 0);
  kernel.tail(0, bytes.length);
  leave(stream, 0);
};

const take = (group) => {
  if (group.length === 0) return;
  const common = takeTogether(group);
  for (const { stream, bytes } of group) {
    const rest = bytes.subarray(common);
    const whole = rest.length - (rest.length % blockBytes);
    if (whole > 0) takeTogether([{ stream, bytes: rest.subarray(0, whole) }]);
    takeEnd(stream, rest.subarray(whole));
  }
};

const md5Of = (stream) => {
  const end = stream.end ?? new Uint8Array(0);
  const last = Buffer.alloc(end.length + 9 > blockBytes ? 2 * blockBytes : blockBytes);
  last.set(end);
  last[end.length] = 0x80;
  last.writeBigUInt64LE(BigInt(stream.bytes) * 8n, last.length - 8);
  enter(stream, 0);
  put(last, 0);
  kernel.one(0, last.length / blockBytes);
  const digest = Buffer.alloc(16);
  for (let word = 0; word < 4; word++) digest.writeInt32LE(words[placeOf(0, word)], word * 4);
  return digest;
};

const crcOf = ({ state }) => {
  const digest = Buffer.alloc(8);
  digest.writeInt32BE(~state[5], 0);
  digest.writeInt32BE(~state[4], 4);
  return digest;
};

load("hash-wasm").createCRC64(workerData.polynomial).then((crc64) => {
  const empty = crc64.init().save();
  const streams = new Map();

  const start = (algorithm) => {
    if (algorithm !== "CRC64NVME") return createHash(algorithm.toLowerCase());
    let state = empty;
    return {
      update(bytes) { state = crc64.load(state).update(bytes).save(); },
      digest() { return Buffer.from(crc64.load(state).digest("binary")); },
    };
  };

  // With MD5 the kernel computes the CRC for nothing; alone, hash-wasm is faster.
  const open = ({ stream, algorithms }) => {
    const inLanes = algorithms.includes("MD5");
    const isApart = (name) => !inLanes || (name !== "MD5" && name !== "CRC64NVME");
    streams.set(stream, {
      algorithms,
      inLanes,
      state: Int32Array.from([...MD5_START, -1, -1]),
      bytes: 0,
      end: undefined,
      apart: new Map(algorithms.filter(isApart).map((name) => [name, start(name)])),
    });
  };

  const digestOf = (stream, name) => {
    const apart = stream.apart.get(name);
    if (apart !== undefined) return new Uint8Array(apart.digest());
    return new Uint8Array(name === "MD5" ? md5Of(stream) : crcOf(stream));
  };

  const end = ({ kind, stream: id }) => {
    const stream = streams.get(id);
    streams.delete(id);
    if (kind === "abort") return;
    const digests = stream.algorithms.map((name) => [name, digestOf(stream, name)]);
    parentPort.postMessage({ kind: "digests", stream: id, digests });
  };

  // Requests in the order in which they came.
  let jobs = [];

  const hear = (request) => {
    if (request.kind === "open") open(request);
    else jobs.push(request);
  };

  // The first job of every stream, as many updates as there are lanes.
  const next = () => {
    const seen = new Set();
    const chosen = jobs.filter(({ kind, stream }) => {
      if (seen.has(stream) || seen.size === lanes) return false;
      seen.add(stream);
      return true;
    });
    jobs = jobs.filter((job) => !chosen.includes(job));
    return chosen;
  };

  const work = () => {
    const chosen = next();
    const updates = chosen.filter(({ kind }) => kind === "update").map((job) => ({
      ...job,
      stream: streams.get(job.stream),
      id: job.stream,
      bytes: new Uint8Array(job.memory, job.offset, job.length),
    }));
    take(updates.filter(({ stream }) => stream.inLanes));
    for (const { stream, bytes, id, slot } of updates) {
      for (const hasher of stream.apart.values()) hasher.update(bytes);
      parentPort.postMessage({ kind: "done", stream: id, slot });
    }
    for (const job of chosen) if (job.kind !== "update") end(job);
  };

  parentPort.on("message", (request) => {
    hear(request);
    for (;;) {
      let more = receiveMessageOnPort(parentPort);
      for (; more !== undefined; more = receiveMessageOnPort(parentPort)) hear(more.message);
      if (jobs.length === 0) return;
      work();
    }
  });
}).catch((failure) => { setImmediate(() => { throw failure; }); });
`;
