import { Worker } from "node:worker_threads";
import { SPAN_HASHER_CODE, type SpanReply, type SpanRequest } from "./span-hasher-worker.ts";

/** Less than this is computed here: a thread takes some ten milliseconds to begin. */
const WORTH_BYTES = 256 * 1024;

type Waiting = {
  readonly resolve: (digests: Buffer) => void;
  readonly reject: (failure: unknown) => void;
  readonly compute: () => Buffer;
};

/**
 * SHA-256 of many pieces of shared memory, on a thread of its own.
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

  digests(memory: SharedArrayBuffer, spans: Uint32Array): Promise<Buffer> {
    const compute = (): Buffer => this.#computeHere(memory, spans);
    const isWorth = memory.byteLength >= WORTH_BYTES && spans.length > 1000;
    if (this.#closed || !isWorth) return Promise.resolve(compute());
    return new Promise((resolve, reject) => {
      const worker = this.#started();
      if (this.#waiting.length === 0) worker.ref();
      this.#waiting.push({ resolve, reject, compute });
      const request: SpanRequest = { memory, spans };
      worker.postMessage(request);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #computeHere(memory: SharedArrayBuffer, spans: Uint32Array): Buffer {
    const bytes = new Uint8Array(memory);
    const found: Buffer[] = [];
    for (let at = 0; at < spans.length; at += 2) {
      const start = spans[at] ?? 0;
      found.push(this.#digest(bytes.subarray(start, start + (spans[at + 1] ?? 0))));
    }
    return Buffer.concat(found);
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

  #hear(reply: SpanReply): void {
    const waiting = this.#waiting.shift();
    if (this.#waiting.length === 0) this.#worker?.unref();
    waiting?.resolve(Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength));
  }

  /** A worker that has ended owes its answers: they are computed here, and a new one is made. */
  #lost(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const { resolve, reject, compute } of this.#waiting.splice(0)) {
      try {
        resolve(compute());
      } catch (failure) {
        reject(failure);
      }
    }
  }
}
