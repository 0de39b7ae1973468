import type { BodySource } from "./exchange.ts";
import { HTTP_LIMITS } from "./http-limits.ts";

const IDLE_SWEEPS_MAX = Math.ceil(HTTP_LIMITS.idleMsMax / HTTP_LIMITS.sweepMs);

/** The part of the native response that a stream needs. */
export interface StreamSocket {
  cork(write: () => void): unknown;
  tryEnd(bytes: Uint8Array, totalBytes: number): [ok: boolean, done: boolean];
  onWritable(callback: (offsetBytes: number) => boolean): unknown;
  /** Bytes of the body taken so far. */
  getWriteOffset(): number;
}

/** How a stream ended: whole, or to be cut because its source failed or its reader stalled. */
export type StreamEnd = "sent" | "cut";

export type StreamPlan = {
  /** Writes status and headers; called corked, just before the first byte. */
  readonly writeHead: () => void;
  readonly totalBytes: number;
  readonly source: BodySource;
  /** Called once unless the stream is aborted; the socket is not touched afterwards. */
  readonly ended: (how: StreamEnd) => void;
};

/**
 * Sends the slices of a source one after the other as fast as the client reads. Invariants: at most
 * one slice is held; the source is asked only when the slice before has been taken whole; done() is
 * called once, after the last call of next() has settled.
 */
export class ResponseStream {
  readonly #socket: StreamSocket;
  readonly #plan: StreamPlan;
  #open = true;
  #asking = false;
  #headWritten = false;
  #listening = false;
  #slice: Uint8Array | undefined;
  #sliceStart = 0;
  #takenBytes = 0;
  #offsetSeen = 0;
  #idleSweeps = 0;

  constructor(socket: StreamSocket, plan: StreamPlan) {
    this.#socket = socket;
    this.#plan = plan;
  }

  start(): void {
    while (this.#open) {
      let next: ReturnType<BodySource["next"]>;
      try {
        next = this.#plan.source.next();
      } catch {
        // Whoever made the source has logged it; the client can only be told by a cut.
        this.#end("cut");
        return;
      }
      if (next instanceof Promise) {
        this.#await(next);
        return;
      }
      if (!this.#write(next)) return;
    }
  }

  /** The client has gone. */
  abort(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#slice = undefined;
    if (!this.#asking) this.#plan.source.done();
  }

  /** Called at intervals: gives a slow reader more time, and gives up on one that has stopped. */
  sweep(): void {
    if (this.#slice === undefined) {
      this.#idleSweeps = 0;
      return;
    }
    // Trying once more re-arms the engine's timer of ten seconds. (Its resume() would do it too,
    // but it also forgets that we wait to write.)
    if (++this.#idleSweeps > IDLE_SWEEPS_MAX) this.#end("cut");
    else this.#writable(this.#socket.getWriteOffset());
  }

  #await(next: Promise<Uint8Array | undefined>): void {
    this.#asking = true;
    next.then(
      (slice) => {
        this.#asking = false;
        if (!this.#open) this.#plan.source.done();
        else if (this.#write(slice)) this.start();
      },
      () => {
        this.#asking = false;
        if (this.#open) this.#end("cut");
        else this.#plan.source.done();
      },
    );
  }

  /** True when the whole slice has been taken and more is to come. */
  #write(slice: Uint8Array | undefined): boolean {
    const { totalBytes, writeHead } = this.#plan;
    if (slice === undefined || this.#takenBytes + slice.length > totalBytes) {
      this.#end("cut");
      return false;
    }
    if (slice.length === 0) return true;
    this.#sliceStart = this.#takenBytes;
    this.#takenBytes += slice.length;
    let ok = false;
    let done = false;
    this.#socket.cork(() => {
      if (!this.#headWritten) writeHead();
      this.#headWritten = true;
      [ok, done] = this.#socket.tryEnd(slice, totalBytes);
    });
    if (done) this.#end("sent");
    else if (!ok) this.#block(slice);
    return ok && !done;
  }

  #block(slice: Uint8Array): void {
    this.#slice = slice;
    if (this.#listening) return;
    this.#listening = true;
    this.#socket.onWritable((offset) => this.#writable(offset));
  }

  #writable(offset: number): boolean {
    const slice = this.#slice;
    if (!this.#open || slice === undefined) return true;
    if (offset > this.#offsetSeen) this.#idleSweeps = 0;
    this.#offsetSeen = offset;
    let ok = false;
    let done = false;
    this.#socket.cork(() => {
      const rest = slice.subarray(offset - this.#sliceStart);
      [ok, done] = this.#socket.tryEnd(rest, this.#plan.totalBytes);
    });
    if (!ok && !done) return false;
    this.#slice = undefined;
    if (done) this.#end("sent");
    else this.start();
    return true;
  }

  #end(how: StreamEnd): void {
    if (!this.#open) return;
    this.#open = false;
    this.#slice = undefined;
    this.#plan.ended(how);
    if (!this.#asking) this.#plan.source.done();
  }
}
