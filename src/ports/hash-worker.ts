/** What the pool tells a worker. `update` lends it a slot of shared memory until it says "done". */
export type HashRequest =
  | { readonly kind: "open"; readonly stream: number; readonly algorithms: readonly string[] }
  | {
      readonly kind: "update";
      readonly stream: number;
      readonly slot: number;
      readonly memory: SharedArrayBuffer;
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

/**
 * The body of a hash worker. It is text because a worker of Node 20 cannot load TypeScript, and the
 * same program must run from sources and from `dist`. `workerData.from` says where packages are.
 */
export const HASH_WORKER_CODE = `"use strict";
const { parentPort, workerData } = require("node:worker_threads");
const { createHash } = require("node:crypto");
const load = require("node:module").createRequire(workerData.from);

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

  parentPort.on("message", (request) => {
    const { kind, stream } = request;
    if (kind === "open") {
      streams.set(stream, request.algorithms.map((name) => [name, start(name)]));
    } else if (kind === "update") {
      const bytes = new Uint8Array(request.memory, 0, request.length);
      for (const [, hasher] of streams.get(stream)) hasher.update(bytes);
      parentPort.postMessage({ kind: "done", stream, slot: request.slot });
    } else {
      const hashers = streams.get(stream);
      streams.delete(stream);
      if (kind === "abort") return;
      const digests = hashers.map(([name, hasher]) => [name, new Uint8Array(hasher.digest())]);
      parentPort.postMessage({ kind: "digests", stream, digests });
    }
  });
}).catch((failure) => { setImmediate(() => { throw failure; }); });
`;
