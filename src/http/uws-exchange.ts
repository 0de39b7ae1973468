import type { HttpResponse } from "uWebSockets.js";
import { assert } from "../core/assert.ts";
import { Gathered } from "../core/bytes.ts";
import type {
  BodySink,
  BodySource,
  Exchange,
  RequestHeaders,
  ResponseHeaders,
} from "./exchange.ts";
import { HTTP_LIMITS } from "./http-limits.ts";
import { formatAddress } from "./remote-address.ts";
import { isBodyless } from "./response-headers.ts";
import { writeHead } from "./uws-head.ts";
import { ResponseStream } from "./uws-stream.ts";

const EMPTY = new Uint8Array(0);
const IDLE_SWEEPS_MAX = Math.ceil(HTTP_LIMITS.idleMsMax / HTTP_LIMITS.sweepMs);
// The engine cuts after its own ten seconds, and must not come first.
const HELD_SWEEPS_MAX = Math.floor(HTTP_LIMITS.keepAliveMsMax / HTTP_LIMITS.sweepMs);

// The engine re-arms its own ten seconds only after this many bytes: smaller chunks need our help.
const ENGINE_REARM_BYTES = 160 * 1024;

/** What an exchange needs of its server. */
export interface UwsHost {
  readonly secure: boolean;
  /** The address of every client, when the listener's leaves only one: its own loopback address. */
  readonly onlyPeer: string | undefined;
  /** True once the server is closing: connections end with their current response. */
  readonly draining: boolean;
  /** The exchange is over; called once for each. */
  over(exchange: UwsExchange): void;
  /** True while the engine hands over a request: what is answered now can still be gathered. */
  readonly accepting: boolean;
  /** Calls `sendNow` once the engine has handed over every request that waits. */
  sendLater(exchange: UwsExchange): void;
  /** A copy that lives until `sendNow`; undefined when there is no room. */
  keep(body: Uint8Array): Uint8Array | undefined;
  /** From now on `sweep` is called every HTTP_LIMITS.sweepMs until the exchange is over. */
  watch(exchange: UwsExchange): void;
}

export type UwsRequest = {
  readonly method: string;
  readonly target: string;
  readonly headers: RequestHeaders;
  /** Bytes of the body; undefined for a chunked one. */
  readonly contentLength: number | undefined;
};

/** A whole response that waits for its turn, or for the end of the body of a request it refuses. */
type Pending = {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** A number is the length of a body that HEAD describes. */
  readonly body: Uint8Array | string | number;
};

/**
 * One request on the native engine. Invariant: `#response` is defined exactly as long as the native
 * object may be touched; touching it later throws.
 */
export class UwsExchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly headers: RequestHeaders;
  readonly #host: UwsHost;
  #response: HttpResponse | undefined;
  #address: ArrayBuffer | undefined;
  #answered = false;
  #onAbort: (() => void) | undefined;
  #stream: ResponseStream | undefined;
  #pending: Pending | undefined;

  #sink: BodySink | undefined;
  #waiting: Gathered | undefined;
  #bodyEnded: boolean;
  #bodyBytesLeft: number;
  #paused = false;
  /** Whether the socket is paused, for a sink that paused or because there is no sink yet. */
  #isHeld = false;
  #watched = false;
  #idleSweeps = 0;

  constructor(host: UwsHost, response: HttpResponse, request: UwsRequest) {
    this.method = request.method;
    this.target = request.target;
    this.headers = request.headers;
    this.#host = host;
    this.#response = response;
    this.#bodyEnded = request.contentLength === 0;
    this.#bodyBytesLeft = request.contentLength ?? Number.POSITIVE_INFINITY;
    response.onAborted(() => this.#aborted());
    if (!this.#bodyEnded) response.onData((chunk, last) => this.#arrived(chunk, last));
  }

  get secure(): boolean {
    return this.#host.secure;
  }

  get closed(): boolean {
    return this.#answered || this.#response === undefined;
  }

  get remoteAddress(): string {
    if (this.#host.onlyPeer !== undefined) return this.#host.onlyPeer;
    this.#keepAddress();
    return this.#address === undefined ? "" : formatAddress(new Uint8Array(this.#address));
  }

  onAbort(callback: () => void): void {
    if (this.#response === undefined) {
      if (!this.#answered) callback();
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
    if (this.#response === undefined) {
      sink.abort();
      return;
    }
    const waiting = this.#waiting?.take();
    const wasHeldBack = waiting !== undefined && waiting.length > HTTP_LIMITS.waitingBytesMax;
    this.#waiting = undefined;
    if (waiting !== undefined) sink.data(waiting);
    if (this.#bodyEnded) sink.end();
    else if (wasHeldBack && !this.#paused) this.#flow(true);
  }

  pause(): void {
    if (this.#paused || this.#bodyEnded || this.closed) return;
    this.#paused = true;
    this.#flow(false);
  }

  resume(): void {
    if (!this.#paused || this.closed) return;
    this.#paused = false;
    this.#flow(true);
  }

  send(
    status: number,
    headers: ResponseHeaders,
    body: Uint8Array | string = EMPTY,
    lasting = false,
  ): void {
    if (this.method === "HEAD" || isBodyless(status)) {
      this.sendHead(status, headers, Buffer.byteLength(body));
      return;
    }
    this.#sendWhole(status, headers, body, lasting);
  }

  sendHead(status: number, headers: ResponseHeaders, contentLength: number): void {
    this.#sendWhole(status, headers, contentLength, true);
  }

  /**
   * Sends answers to requests that arrived together in one go: a sleeping client is woken once for
   * all of them instead of once for each, which costs more than an answer does. A client that is
   * still sending its body is answered at once: it should hear early that it need not go on.
   */
  #sendWhole(
    status: number,
    headers: ResponseHeaders,
    body: Uint8Array | string | number,
    lasting: boolean,
  ): void {
    const response = this.#answer();
    if (response === undefined) return;
    if (this.#host.accepting && this.#bodyEnded) {
      const kept = lasting || typeof body !== "object" ? body : this.#host.keep(body);
      if (kept !== undefined) {
        this.#pending = { status, headers, body: kept };
        this.#onAbort = undefined;
        this.#host.sendLater(this);
        return;
      }
    }
    if (this.#bodyEnded || !this.#asksToClose()) {
      this.#write(response, { status, headers, body });
      return;
    }
    // The engine closes behind such an answer, and what still comes would take it from the client.
    this.#pending = { status, headers, body: typeof body === "object" ? body.slice() : body };
    this.#onAbort = undefined;
    this.#idleSweeps = 0;
    this.#watch();
  }

  #asksToClose(): boolean {
    return this.headers.get("connection")?.toLowerCase().includes("close") === true;
  }

  /** Called by the server for an exchange that asked for it. */
  sendNow(): void {
    const response = this.#response;
    const pending = this.#pending;
    this.#pending = undefined;
    if (response !== undefined && pending !== undefined) this.#write(response, pending);
  }

  #write(response: HttpResponse, { status, headers, body }: Pending): void {
    const lingers = this.#lingers();
    const { draining } = this.#host;
    response.cork(() => {
      if (typeof body !== "number") {
        writeHead(response, { status, headers, closes: lingers });
        response.end(body, draining && !lingers);
        return;
      }
      // Given the length, the engine would wait for that many bytes of body.
      const contentLength = isBodyless(status) ? undefined : body;
      writeHead(response, { status, headers, closes: lingers || draining, contentLength });
      response.endWithoutBody();
    });
    this.#over();
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
    const response = this.#answer();
    if (response === undefined) {
      source.done();
      return;
    }
    const closes = this.#lingers() || this.#host.draining;
    this.#stream = new ResponseStream(response, {
      writeHead: () => writeHead(response, { status, headers, closes }),
      totalBytes: contentLength,
      source,
      ended: (how) => (how === "sent" ? this.#over() : this.#cut()),
    });
    this.#watch();
    this.#stream.start();
  }

  /** Called by the server at intervals, once watched. */
  sweep(): void {
    const response = this.#response;
    if (response === undefined) return;
    if (this.#stream !== undefined) {
      this.#stream.sweep();
    } else if (this.#pending !== undefined) {
      if (++this.#idleSweeps >= HELD_SWEEPS_MAX) this.sendNow();
    } else if (!this.#bodyEnded && this.#paused) {
      // The engine arms its timer behind our back when the request handler returns.
      response.pause();
    } else if (!this.#bodyEnded && ++this.#idleSweeps > IDLE_SWEEPS_MAX) {
      this.#abandon();
    }
  }

  #arrived(chunk: ArrayBuffer, last: boolean): void {
    // The engine goes on delivering the rest of a body behind the response.
    if (this.#response === undefined) return;
    if (this.#answered) {
      this.#bodyEnded = last;
      if (last) this.sendNow();
      return;
    }
    this.#bodyBytesLeft -= chunk.byteLength;
    this.#bodyEnded = last;
    if (!last && chunk.byteLength < ENGINE_REARM_BYTES) this.#disarm(this.#response);
    const sink = this.#sink;
    if (sink === undefined) {
      this.#wait(chunk, last);
      return;
    }
    if (chunk.byteLength > 0) sink.data(new Uint8Array(chunk));
    if (last) sink.end();
  }

  #wait(chunk: ArrayBuffer, last: boolean): void {
    if (chunk.byteLength > 0) {
      this.#waiting ??= new Gathered();
      this.#waiting.push(new Uint8Array(chunk));
    }
    const waitingBytes = this.#waiting?.length ?? 0;
    if (!last && waitingBytes > HTTP_LIMITS.waitingBytesMax) this.#flow(false);
  }

  /** Stops the engine's timer, which cuts uploads slower than 16 KiB/s; the sweep goes on. */
  #disarm(response: HttpResponse): void {
    this.#idleSweeps = 0;
    this.#watch();
    response.pause();
    if (!this.#paused) response.resume();
  }

  #flow(on: boolean): void {
    this.#isHeld = !on;
    this.#idleSweeps = 0;
    this.#watch();
    if (on) this.#response?.resume();
    else this.#response?.pause();
  }

  #watch(): void {
    if (this.#watched) return;
    this.#watched = true;
    this.#host.watch(this);
  }

  /** Takes the right to answer; undefined when the client has gone. */
  #answer(): HttpResponse | undefined {
    assert(!this.#answered, "an exchange is answered once");
    const response = this.#response;
    if (response === undefined) return undefined;
    this.#answered = true;
    this.#keepAddress();
    this.#sink = undefined;
    this.#waiting = undefined;
    // The engine drops the rest of the body; a paused socket would never see the next request, and
    // neither would one that is resumed without having been paused.
    if (this.#isHeld) response.resume();
    return response;
  }

  /**
   * True when much of the body is still to come. Cutting at once could take the answer from a
   * client that still sends, so it is told to close; the engine drops what comes, and cuts after
   * 10 seconds.
   */
  #lingers(): boolean {
    return !this.#bodyEnded && this.#bodyBytesLeft > HTTP_LIMITS.drainBytesMax;
  }

  // Reads the address while the socket lives: the access log asks for it after the answer. The
  // native call takes some microseconds.
  #keepAddress(): void {
    if (this.#host.onlyPeer !== undefined) return;
    if (this.#address === undefined) this.#address = this.#response?.getRemoteAddress();
  }

  #over(): void {
    this.#response = undefined;
    this.#onAbort = undefined;
    this.#host.over(this);
  }

  /** Ends the connection in the middle of a response. */
  #cut(): void {
    const response = this.#response;
    this.#over();
    response?.close();
  }

  /** Ends the connection in the middle of a request: to everybody else the client has gone away. */
  #abandon(): void {
    this.#response?.close();
  }

  #aborted(): void {
    if (this.#response === undefined) return;
    const onAbort = this.#onAbort;
    const sink = this.#bodyEnded ? undefined : this.#sink;
    this.#sink = undefined;
    this.#waiting = undefined;
    this.#over();
    this.#stream?.abort();
    sink?.abort();
    onAbort?.();
  }
}
