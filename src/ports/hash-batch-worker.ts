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

/**
 * The body of the worker that computes small digests by the batch; text for the same reason as the
 * worker of streams. Digests are written to the end of the memory, job after job.
 */
export const HASH_BATCH_CODE = `"use strict";
const { parentPort, workerData } = require("node:worker_threads");
const { hash } = require("node:crypto");
const load = require("node:module").createRequire(workerData.from);
const { jobWords, digestBytes } = workerData.layout;

load("hash-wasm").createCRC64(workerData.polynomial).then((crc64) => {
  const digest = [
    (bytes) => hash("md5", bytes, "buffer"),
    (bytes) => hash("sha256", bytes, "buffer"),
    (bytes) => hash("sha1", bytes, "buffer"),
    (bytes) => crc64.init().update(bytes).digest("binary"),
  ];
  parentPort.on("message", ({ memory, jobs }) => {
    const words = new Int32Array(memory, 0, jobs * jobWords);
    const out = new Uint8Array(memory);
    for (let job = 0; job < jobs; job++) {
      const at = job * jobWords;
      const bytes = new Uint8Array(memory, words[at], words[at + 1]);
      let place = memory.byteLength - (job + 1) * digestBytes;
      for (let bit = 0; bit < digest.length; bit++) {
        if ((words[at + 2] & (1 << bit)) === 0) continue;
        const value = digest[bit](bytes);
        out.set(value, place);
        place += value.length;
      }
    }
    parentPort.postMessage("done");
  });
}).catch((failure) => { setImmediate(() => { throw failure; }); });
`;
