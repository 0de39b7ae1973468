import type { IncomingMessage, ServerResponse } from "node:http";
import { assert } from "../core/assert.ts";
import { Gathered } from "../core/bytes.ts";
import type { Clock } from "../ports/clock.ts";
import type {
  BodySink,
  BodySource,
  Exchange,
  RequestHeaders,
  ResponseHeaders,
} from "./exchange.ts";
import { HTTP_LIMITS } from "./http-limits.ts";
import { plainAddress } from "./remote-address.ts";
import { isBodyless, writeHeaders } from "./response-headers.ts";

const EMPTY = new Uint8Array(0);

/** What an exchange needs of its server. */
export interface NodeHost {
  readonly clock: Clock;
  readonly secure: boolean;
  /** True once the server is closing: connections end with their current response. */
  readonly draining: boolean;
  /** The exchange is over; called once for each. */
  over(exchange: NodeExchange): void;
}

export type NodeRequest = {
  readonly method: string;
  readonly target: string;
  readonly headers: RequestHeaders;
  /** Bytes of the body; undefined for a chunked one. */
  readonly contentLength: number | undefined;
  /** The client waits for "100 Continue" before it sends the body. */
  readonly expectsContinue: boolean;
};

/** One request on node:http. */
export class NodeExchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly headers: RequestHeaders;
  readonly remoteAddress: string;
  readonly #host: NodeHost;
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  #gone = false;
  #answered = false;
  #over = false;
  #onAbort: (() => void) | undefined;
  /** Ends the wait for a slow reader of a stream. */
  #leave: (() => void) | undefined;
  #sink: BodySink | undefined;
  #waiting: Gathered | undefined;
  #isPaused = false;
  #bodyEnded: boolean;
  #bodyBytesLeft: number;
  #awaitsContinue: boolean;

  constructor(
    host: NodeHost,
    message: IncomingMessage,
    response: ServerResponse,
    request: NodeRequest,
  ) {
    this.method = request.method;
    this.target = request.target;
    this.headers = request.headers;
    this.remoteAddress = plainAddress(message.socket.remoteAddress);
    this.#host = host;
    this.#message = message;
    this.#response = response;
    this.#bodyEnded = request.contentLength === 0;
    this.#bodyBytesLeft = request.contentLength ?? Number.POSITIVE_INFINITY;
    this.#awaitsContinue = request.expectsContinue;
    response.on("close", () => this.#closed());
    // The engine reports a cut body here as well as by "close"; once is enough.
    message.on("error", () => response.destroy());
    message.socket.setTimeout(this.#bodyEnded ? 0 : HTTP_LIMITS.idleMsMax);
    if (!this.#bodyEnded) this.#read();
  }

  get secure(): boolean {
    return this.#host.secure;
  }

  get closed(): boolean {
    return this.#gone || this.#answered;
  }

  /** True when this exchange travels on that socket. */
  isOn(socket: unknown): boolean {
    return this.#message.socket === socket;
  }

  onAbort(callback: () => void): void {
    if (this.#over) {
      if (this.#gone) callback();
      return;
    }
    const earlier = this.#onAbort;
    this.#onAbort = () => {
      earlier?.();
      callback();
    };
  }

  receive(sink: BodySink): void {
    assert(this.#sink === undefined, "the body of an exchange is received once");
    if (this.#answered) return;
    this.#sink = sink;
    if (this.#gone) {
      sink.abort();
      return;
    }
    const waiting = this.#waiting?.take();
    this.#waiting = undefined;
    if (waiting !== undefined) sink.data(waiting);
    if (this.#bodyEnded) {
      sink.end();
      return;
    }
    if (this.#awaitsContinue) this.#response.writeContinue();
    this.#awaitsContinue = false;
    if (!this.#isPaused) this.resume();
  }

  pause(): void {
    if (this.#bodyEnded || this.closed) return;
    this.#isPaused = true;
    this.#message.pause();
    this.#message.socket.setTimeout(0);
  }

  resume(): void {
    if (this.#bodyEnded || this.closed || this.#sink === undefined) return;
    this.#isPaused = false;
    this.#message.socket.setTimeout(HTTP_LIMITS.idleMsMax);
    this.#message.resume();
  }

  send(status: number, headers: ResponseHeaders, body: Uint8Array | string = EMPTY): void {
    const length = Buffer.byteLength(body);
    if (this.method === "HEAD" || isBodyless(status)) {
      this.sendHead(status, headers, length);
      return;
    }
    if (!this.#answer()) return;
    const lingers = this.#lingers();
    this.#writeHead(status, headers, length);
    // A copy, as on the native engine: the caller may change its memory when this call returns.
    // Never text: node:http would write a head in front of text as UTF-8, not as Latin-1.
    this.#finish(Buffer.from(body), lingers);
  }

  sendHead(status: number, headers: ResponseHeaders, contentLength: number): void {
    if (!this.#answer()) return;
    const lingers = this.#lingers();
    this.#writeHead(status, headers, contentLength);
    this.#finish(EMPTY, lingers);
  }

  stream(
    status: number,
    headers: ResponseHeaders,
    contentLength: number,
    source: BodySource,
  ): void {
    if (this.method === "HEAD" || isBodyless(status) || contentLength === 0) {
      this.sendHead(status, headers, contentLength);
      source.done();
      return;
    }
    if (!this.#answer()) {
      source.done();
      return;
    }
    const lingers = this.#lingers();
    this.#pump(source, contentLength, () => this.#writeHead(status, headers, contentLength)).then(
      (whole) => {
        if (whole) this.#finish(EMPTY, lingers);
        else this.#cut();
        source.done();
      },
      () => {
        this.#cut();
        source.done();
      },
    );
  }

  /** The stream itself would hold back what nobody receives yet: an object for each chunk of it. */
  #read(): void {
    this.#message.on("data", (bytes: Uint8Array) => {
      this.#bodyBytesLeft -= bytes.length;
      if (this.#sink !== undefined) this.#sink.data(bytes);
      else if (!this.closed) this.#wait(bytes);
    });
    this.#message.on("end", () => {
      this.#bodyEnded = true;
      if (this.#answered || this.#gone) return;
      this.#message.socket.setTimeout(0);
      this.#sink?.end();
    });
  }

  #wait(bytes: Uint8Array): void {
    this.#waiting ??= new Gathered();
    this.#waiting.push(bytes);
    if (this.#waiting.length > HTTP_LIMITS.waitingBytesMax) this.#message.pause();
  }

  /** True when all bytes went out; false when they do not add up or the client has gone. */
  async #pump(source: BodySource, totalBytes: number, writeHead: () => void): Promise<boolean> {
    let left = totalBytes;
    while (left > 0) {
      const slice = await source.next();
      if (slice === undefined || slice.length > left || this.#gone) return false;
      if (slice.length === 0) continue;
      if (left === totalBytes) writeHead();
      left -= slice.length;
      if (!(await this.#write(slice))) return false;
    }
    return true;
  }

  /** Resolves when the bytes have left our memory, or when nobody waits for them any more. */
  #write(slice: Uint8Array): Promise<boolean> {
    const { socket } = this.#message;
    socket.setTimeout(HTTP_LIMITS.idleMsMax);
    return new Promise((resolve) => {
      // Bytes written just as a connection breaks are queued by node for another one, and the
      // callback never comes.
      this.#leave = () => resolve(false);
      this.#response.write(slice, (failure) => {
        socket.setTimeout(0);
        resolve(failure === undefined || failure === null);
      });
    });
  }

  /** Takes the right to answer; false when the client has gone. */
  #answer(): boolean {
    assert(!this.#answered, "an exchange is answered once");
    if (this.#gone) return false;
    this.#answered = true;
    this.#sink = undefined;
    this.#waiting = undefined;
    return true;
  }

  /** True when much of the body is still to come: it is read and dropped after the answer. */
  #lingers(): boolean {
    return !this.#bodyEnded && this.#bodyBytesLeft > HTTP_LIMITS.drainBytesMax;
  }

  #writeHead(status: number, headers: ResponseHeaders, contentLength: number): void {
    const lines: string[] = [];
    writeHeaders(headers, (name, value) => lines.push(name, encodeValue(value)));
    if (!isBodyless(status)) lines.push("content-length", String(contentLength));
    // A client that never got its "100 Continue" may send the body or not: nobody can tell.
    const closes = this.#lingers() || this.#awaitsContinue || this.#host.draining;
    if (closes) lines.push("connection", "close");
    this.#response.writeHead(status, lines);
  }

  #finish(body: Uint8Array, lingers: boolean): void {
    const response = this.#response;
    const message = this.#message;
    // Until it has been read; then the engine has a time of its own for the next request.
    message.socket.setTimeout(HTTP_LIMITS.idleMsMax);
    if (!this.#bodyEnded) message.resume();
    if (!lingers || this.#awaitsContinue || body.length === 0) {
      if (body.length > 0) response.end(body);
      else response.end();
      return;
    }
    // Ending at once would close the socket, and could take the answer from a client that still
    // sends: the end waits for the rest of the body, within bounds.
    response.write(body);
    this.#onAbort = undefined;
    const cancel = this.#host.clock.after(HTTP_LIMITS.keepAliveMsMax, () => response.end());
    message.on("end", () => response.end());
    response.on("close", cancel);
  }

  /** Node 22 tells who writes that the client has gone before it says so by "close". */
  #cut(): void {
    this.#response.destroy();
    this.#closed();
  }

  #closed(): void {
    if (this.#over) return;
    this.#over = true;
    const whole = this.#answered && this.#response.writableFinished;
    const sink = this.#bodyEnded ? undefined : this.#sink;
    const onAbort = this.#onAbort;
    this.#sink = undefined;
    this.#onAbort = undefined;
    this.#gone = !whole;
    this.#host.over(this);
    if (whole) return;
    this.#leave?.();
    sink?.abort();
    onAbort?.();
  }
}

/** UTF-8 on the wire, as on the native engine; node:http writes one byte for each character. */
function encodeValue(value: string): string {
  return /^[\t\x20-\x7e]*$/.test(value) ? value : Buffer.from(value, "utf8").toString("latin1");
}
