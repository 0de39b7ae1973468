/** Offset and length of each piece of the memory. */
export type SpanRequest = { readonly memory: ArrayBuffer; readonly spans: Uint32Array };

/** The memory again, and its digests one behind the other; in the order of the requests. */
export type SpanReply = {
  readonly memory: ArrayBuffer;
  readonly digests: Uint8Array<ArrayBuffer>;
};

/** The body of the worker; text for the same reason as the worker of streams. */
export const SPAN_HASHER_CODE = `"use strict";
const { parentPort } = require("node:worker_threads");
const { hash } = require("node:crypto");

parentPort.on("message", ({ memory, spans }) => {
  const bytes = new Uint8Array(memory);
  const out = new Uint8Array(spans.length * 16);
  for (let at = 0; at < spans.length; at += 2) {
    const piece = bytes.subarray(spans[at], spans[at] + spans[at + 1]);
    out.set(hash("sha256", piece, "buffer"), at * 16);
  }
  parentPort.postMessage({ memory, digests: out }, [memory, out.buffer]);
});
`;
