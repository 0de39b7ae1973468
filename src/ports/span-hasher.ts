import { Worker } from "node:worker_threads";
import type { SpanDigests } from "./hash.ts";
import { SPAN_HASHER_CODE, type SpanReply, type SpanRequest } from "./span-hasher-worker.ts";

/** Fewer pieces than this are hashed on this thread: starting one takes some ten milliseconds. */
const FEW_PIECES = 500;

type Waiting = {
  readonly resolve: (digests: SpanDigests) => void;
  readonly reject: (failure: Error) => void;
};

/**
 * SHA-256 of many pieces of one memory, on a thread of its own.
 *
 * Invariant: `#waiting` is in the order in which the worker answers.
 */
export class SpanHasher {
  readonly #digest: (bytes: Uint8Array) => Buffer;
  #worker: Worker | undefined;
  #waiting: Waiting[] = [];
  #closed = false;

  constructor(digest: (bytes: Uint8Array) => Buffer) {
    this.#digest = digest;
  }

  digests(memory: ArrayBuffer, spans: Uint32Array): Promise<SpanDigests> {
    const few = spans.length < FEW_PIECES * 2;
    if (this.#closed || few) return Promise.resolve(this.#computeHere(memory, spans));
    return new Promise((resolve, reject) => {
      const worker = this.#started();
      if (this.#waiting.length === 0) worker.ref();
      this.#waiting.push({ resolve, reject });
      const request: SpanRequest = { memory, spans };
      worker.postMessage(request, [memory, spans.buffer as ArrayBuffer]);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #computeHere(memory: ArrayBuffer, spans: Uint32Array): SpanDigests {
    const bytes = new Uint8Array(memory);
    const found: Buffer[] = [];
    for (let at = 0; at < spans.length; at += 2) {
      const start = spans[at] ?? 0;
      found.push(this.#digest(bytes.subarray(start, start + (spans[at + 1] ?? 0))));
    }
    return { memory, digests: Buffer.concat(found) };
  }

  #started(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(SPAN_HASHER_CODE, { eval: true, execArgv: [], name: "atoll-spans" });
    worker.unref();
    worker.on("message", (reply: SpanReply) => this.#hear(reply));
    worker.once("error", () => this.#lost(worker));
    worker.once("exit", () => this.#lost(worker));
    this.#worker = worker;
    return worker;
  }

  #hear({ memory, digests }: SpanReply): void {
    const waiting = this.#waiting.shift();
    if (this.#waiting.length === 0) this.#worker?.unref();
    waiting?.resolve({ memory, digests: Buffer.from(digests.buffer) });
  }

  /** The memory of a worker that has ended is lost; later requests get a new worker. */
  #lost(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const failure = new Error("a hash worker has ended");
    for (const { reject } of this.#waiting.splice(0)) reject(failure);
  }
}
