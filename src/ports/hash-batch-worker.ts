/** What a batch of small digests looks like in the memory that is lent to the worker. */
export const BATCH_LAYOUT = {
  /** 32-bit words a job takes at the front: offset, length, algorithms as bits. */
  jobWords: 3,
  /** Bytes of room for the digests of one job, in the order of the bits. */
  digestBytes: 128,
} as const;

/** Bits of the third word of a job; a job's digests stand in this order. */
export const BATCH_ALGORITHMS = ["MD5", "SHA256", "SHA1", "CRC64NVME"] as const;

/** Answered by a message without meaning of its own, in the order of the requests. */
export type BatchRequest = { readonly memory: SharedArrayBuffer; readonly jobs: number };

/** What the worker is started with. */
export type BatchWorkerData = {
  /** Where packages are looked up from. */
  readonly from: string;
  readonly polynomial: string;
  readonly layout: typeof BATCH_LAYOUT;
  /** The bytes of the kernel of MD5 and CRC64NVME, and its layout. */
  readonly kernel: Uint8Array;
  readonly kernelLayout: object;
};

/**
 * The code of the worker that computes small digests in batches; text for the same reason as that
 * of `hash-worker.ts`. Digests are written to the end of the memory, job after job.
 *
 * Inputs of one length fill the lanes of the kernel, which computes four MD5s in a third of the
 * time that OpenSSL takes, and their CRC64NVMEs beside them.
 */
export const HASH_BATCH_CODE = `"use strict";
const { parentPort, workerData } = require("node:worker_threads");
const { hash } = require("node:crypto");
const load = require("node:module").createRequire(workerData.from);
const { jobWords, digestBytes } = workerData.layout;

const { lanes, blockBytes, stateAt, rowBytes, crcAt, windowsAt, windowBytes, windowStride } =
  workerData.kernelLayout;
const kernel = new WebAssembly.Instance(new WebAssembly.Module(workerData.kernel)).exports;
const windows = Buffer.from(kernel.memory.buffer);
const MD5 = 1;
const CRC64 = 8;
const MD5_BYTES = 16;
const MD5_START = Buffer.from("0123456789abcdeffedcba9876543210", "hex");

// The digests of up to four inputs of one length: of each its MD5 (16 bytes) and its CRC (8).
const digestTogether = (group) => {
  const { length } = group[0].bytes;
  const rest = length % blockBytes;
  const whole = length - rest;
  for (let lane = 0; lane < lanes; lane++) {
    for (let word = 0; word < 4; word++) {
      const at = stateAt + word * rowBytes + lane * 4;
      windows.writeUInt32LE(MD5_START.readUInt32LE(word * 4), at);
    }
    windows.fill(255, crcAt + lane * 8, crcAt + lane * 8 + 8);
  }
  const put = (from, to) => {
    for (let lane = 0; lane < group.length; lane++) {
      windows.set(group[lane].bytes.subarray(from, to), windowsAt + lane * windowStride);
    }
  };
  for (let at = 0; at < whole; at += windowBytes) {
    const to = Math.min(whole, at + windowBytes);
    put(at, to);
    kernel.four((to - at) / blockBytes);
  }
  put(whole, length);
  const ends = group.map((_, lane) => {
    if (rest > 0) kernel.tail(lane, rest);
    const crc = Buffer.allocUnsafe(8);
    crc.writeUInt32BE(~windows.readUInt32LE(crcAt + lane * 8 + 4) >>> 0, 0);
    crc.writeUInt32BE(~windows.readUInt32LE(crcAt + lane * 8) >>> 0, 4);
    return crc;
  });
  const padded = rest + 9 > blockBytes ? 2 * blockBytes : blockBytes;
  for (let lane = 0; lane < group.length; lane++) {
    const at = windowsAt + lane * windowStride;
    windows[at + rest] = 0x80;
    windows.fill(0, at + rest + 1, at + padded - 8);
    windows.writeUInt32LE((length * 8) >>> 0, at + padded - 8);
    windows.writeUInt32LE(Math.floor(length / 0x20000000), at + padded - 4);
  }
  kernel.four(padded / blockBytes);
  return ends.map((crc, lane) => {
    const md5 = Buffer.allocUnsafe(MD5_BYTES);
    for (let word = 0; word < 4; word++) {
      md5.writeUInt32LE(windows.readUInt32LE(stateAt + word * rowBytes + lane * 4), word * 4);
    }
    return { md5, crc };
  });
};

// What the kernel computes of a batch, by job: inputs of one length, at least two of them.
const byKernel = (jobs) => {
  const found = new Map();
  const waiting = new Map();
  const take = (group) => {
    const digests = digestTogether(group);
    for (let lane = 0; lane < group.length; lane++) found.set(group[lane], digests[lane]);
  };
  for (const job of jobs) {
    if ((job.mask & MD5) === 0) continue;
    const group = waiting.get(job.bytes.length);
    if (group === undefined) {
      waiting.set(job.bytes.length, [job]);
      continue;
    }
    group.push(job);
    if (group.length < lanes) continue;
    waiting.delete(job.bytes.length);
    take(group);
  }
  for (const group of waiting.values()) if (group.length > 1) take(group);
  return found;
};

load("hash-wasm").createCRC64(workerData.polynomial).then((crc64) => {
  // As text: a buffer of its own for each digest costs as much as a third of the hash.
  const digest = [
    (bytes) => hash("md5", bytes, "binary"),
    (bytes) => hash("sha256", bytes, "binary"),
    (bytes) => hash("sha1", bytes, "binary"),
    (bytes) => crc64.init().update(bytes).digest("binary"),
  ];
  parentPort.on("message", ({ memory, jobs: count }) => {
    const words = new Int32Array(memory, 0, count * jobWords);
    const out = Buffer.from(memory);
    const jobs = [];
    for (let at = 0; at < count * jobWords; at += jobWords) {
      jobs.push({ bytes: new Uint8Array(memory, words[at], words[at + 1]), mask: words[at + 2] });
    }
    const together = byKernel(jobs);
    for (let index = 0; index < count; index++) {
      const job = jobs[index];
      const known = together.get(job);
      let place = memory.byteLength - (index + 1) * digestBytes;
      for (let bit = 0; bit < digest.length; bit++) {
        const flag = 1 << bit;
        if ((job.mask & flag) === 0) continue;
        const inKernel = known !== undefined && (flag === MD5 || flag === CRC64);
        const value = inKernel ? (flag === MD5 ? known.md5 : known.crc) : digest[bit](job.bytes);
        if (typeof value === "string") out.write(value, place, "latin1");
        else out.set(value, place);
        place += value.length;
      }
    }
    parentPort.postMessage("done");
  });
}).catch((failure) => { setImmediate(() => { throw failure; }); });
`;
