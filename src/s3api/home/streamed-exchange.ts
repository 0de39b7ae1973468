import type {
  ForwardedAnswer,
  ForwardedFlow,
  ForwardedHead,
} from "../../core/forwarded-request.ts";
import type {
  BodySink,
  BodySource,
  Exchange,
  RequestHeaders,
  ResponseHeaders,
} from "../../http/exchange.ts";
import { headersOf } from "../headers/header-list.ts";
import { gatherBody, HALF_AN_ANSWER } from "./forwarded-exchange.ts";

/** Size of what a handler gets at once, so that it can pause in between. */
const SLICE_BYTES = 256 * 1024;
/** An answer that nobody reads: the site that brought the request has gone. */
const GIVEN_UP: ForwardedAnswer = { status: 503, headers: [], body: Buffer.alloc(0) };

/**
 * A request that a peer brings in pieces, as handlers see requests. Invariants: the body ends for
 * the handler only when the peer has said that it is whole, and there is one answer.
 */
export class StreamedExchange implements Exchange, ForwardedFlow {
  readonly method: string;
  readonly target: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly headers: RequestHeaders;
  readonly #answered: Promise<ForwardedAnswer>;
  #resolve: (answer: ForwardedAnswer) => void = () => undefined;
  #answer: ForwardedAnswer | undefined;
  #sink: BodySink | undefined;
  #isPaused = false;
  #isEnded = false;
  #wake: Array<() => void> = [];
  readonly #aborts: Array<() => void> = [];

  constructor({ method, target, remoteAddress, secure, headers }: ForwardedHead) {
    this.method = method;
    this.target = target;
    this.remoteAddress = remoteAddress;
    this.secure = secure;
    this.headers = headersOf(headers);
    this.#answered = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get closed(): boolean {
    return this.#answer !== undefined;
  }

  onAbort(callback: () => void): void {
    this.#aborts.push(callback);
  }

  receive(sink: BodySink): void {
    this.#sink = sink;
    if (this.closed) sink.abort();
    this.#wakeAll();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#wakeAll();
  }

  send(status: number, headers: ResponseHeaders, body?: Uint8Array | string): void {
    this.#settle({ status, headers, body: Buffer.from(body ?? "") });
  }

  sendHead(status: number, headers: ResponseHeaders): void {
    this.#settle({ status, headers, body: Buffer.alloc(0) });
  }

  stream(status: number, headers: ResponseHeaders, _length: number, source: BodySource): void {
    void gatherBody(source).then(
      (body) => this.#settle({ status, headers, body }),
      () => this.#settle({ status: HALF_AN_ANSWER, headers: [], body: Buffer.alloc(0) }),
    );
  }

  async data(bytes: Uint8Array): Promise<ForwardedAnswer | undefined> {
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      const sink = await this.#whoReceives();
      if (sink === undefined) break;
      sink.data(bytes.subarray(at, at + SLICE_BYTES));
    }
    return this.#answer;
  }

  async end(): Promise<ForwardedAnswer> {
    const sink = this.#isEnded ? undefined : await this.#whoReceives();
    if (sink !== undefined && !this.#isEnded) {
      this.#isEnded = true;
      sink.end();
    }
    return this.#answered;
  }

  cut(): void {
    if (this.closed) return;
    this.#settle(GIVEN_UP);
    // A body that arrived whole may have been committed already, and is not taken back.
    if (!this.#isEnded) this.#sink?.abort();
    for (const callback of this.#aborts.splice(0)) callback();
  }

  /** The handler, once it wants to have more; undefined when there is an answer without it. */
  async #whoReceives(): Promise<BodySink | undefined> {
    while (!this.closed && (this.#sink === undefined || this.#isPaused)) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    return this.closed ? undefined : this.#sink;
  }

  #settle(answer: ForwardedAnswer): void {
    if (this.closed) return;
    this.#answer = answer;
    this.#resolve(answer);
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const resolve of this.#wake.splice(0)) resolve();
  }
}
