import type { RequestObserver } from "../core/request-summary.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import { toS3Error } from "./errors.ts";
import { FailureLog } from "./failure-log.ts";
import type { Seating } from "./guard/request-guard.ts";
import type { HeaderLines } from "./headers/object-headers.ts";
import type { Reply } from "./operation.ts";
import { RequestIds } from "./request-ids.ts";
import {
  createWriteTokens,
  isWrite,
  type LogHeadSource,
  TOKEN_HEADER,
} from "./tokens/write-tokens.ts";
import { renderError } from "./xml/error-document.ts";

export type ResponderDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly observer: RequestObserver;
  /** How far this site's own log has been acknowledged. */
  readonly logHead: LogHeadSource;
};

/** What is known of a request while it runs; the pipeline adds to it. */
export type Trace = {
  readonly exchange: Exchange;
  readonly requestId: string;
  readonly startedMs: number;
  operation: string;
  bucket: string | undefined;
  key: string | undefined;
  accessKey: string | undefined;
  inBytes: number;
  /** Undefined until the request has been let in. */
  seating: Seating | undefined;
  /** CORS headers that every answer to this request carries, errors included. */
  corsLines: HeaderLines | undefined;
  /** A peer has brought it here, for the bucket's home. */
  isForwarded: boolean;
};

/**
 * The one edge of S3: sends replies, renders errors, and reports each request once when its last
 * byte has been handed over.
 */
export class Responder {
  readonly #deps: ResponderDeps;
  readonly #ids: RequestIds;
  readonly #failures: FailureLog;
  readonly #token: () => string | undefined;
  #underWay = 0;

  constructor(deps: ResponderDeps) {
    this.#deps = deps;
    this.#ids = new RequestIds(deps.random);
    this.#failures = new FailureLog(deps);
    this.#token = createWriteTokens(deps.logHead);
  }

  /** Requests begun and not yet reported. */
  get underWay(): number {
    return this.#underWay;
  }

  begin(exchange: Exchange): Trace {
    this.#underWay++;
    return {
      exchange,
      requestId: this.#ids.next(),
      startedMs: this.#deps.clock.monotonicMs(),
      operation: "Unknown",
      bucket: undefined,
      key: undefined,
      accessKey: undefined,
      inBytes: 0,
      seating: undefined,
      corsLines: undefined,
      isForwarded: false,
    };
  }

  send(trace: Trace, reply: Reply): void {
    const { exchange } = trace;
    const { status, headers } = reply;
    this.#pushCommonHeaders(trace, headers);
    if (isWrite(exchange, status) && !isForwarded(reply)) this.#pushToken(headers);
    switch (reply.kind) {
      case "whole":
        if (exchange.method === "HEAD") exchange.sendHead(status, headers, 0);
        else exchange.send(status, headers, reply.body, reply.lasting);
        this.#finish(trace, status, bytesOf(reply.body), undefined);
        return;
      case "head":
        exchange.sendHead(status, headers, reply.contentLength);
        this.#finish(trace, status, 0, undefined);
        return;
      case "stream":
        this.#stream(trace, reply);
        return;
    }
  }

  #stream(trace: Trace, reply: Extract<Reply, { kind: "stream" }>): void {
    const { status, headers, contentLength, reader } = reply;
    if (trace.exchange.closed) {
      // Nobody is left to call `done`.
      reader.close();
      this.#finish(trace, status, 0, undefined);
      return;
    }
    let outBytes = 0;
    trace.exchange.stream(status, headers, contentLength, {
      next: async () => {
        try {
          const slice = await reader.next();
          if (slice !== undefined) outBytes += slice.length;
          return slice;
        } catch (failure) {
          // The engine cuts the connection; the reason must not be lost.
          this.#failures.tell(trace, failure);
          throw failure;
        }
      },
      done: () => {
        reader.close();
        this.#finish(trace, status, outBytes, undefined);
      },
    });
  }

  /** Answers with the error that stands for a failure; what really happened goes to the log. */
  fail(trace: Trace, failure: unknown): void {
    const error = toS3Error(failure);
    trace.seating?.failed(error);
    if (error.status >= 500 && error.cause !== undefined) this.#failures.tell(trace, error.cause);
    const { exchange } = trace;
    const headers: HeaderLines = [];
    this.#pushCommonHeaders(trace, headers);
    if (error.headers !== undefined) headers.push(...error.headers);
    if (exchange.method === "HEAD") {
      exchange.sendHead(error.status, headers, 0);
      this.#finish(trace, error.status, 0, error.code);
      return;
    }
    headers.push(["Content-Type", "application/xml"]);
    const body = renderError(error, {
      resource: resourceOf(exchange.target),
      requestId: trace.requestId,
      hostId: this.#ids.hostId,
    });
    exchange.send(error.status, headers, body);
    this.#finish(trace, error.status, bytesOf(body), error.code);
  }

  #pushCommonHeaders(trace: Trace, headers: HeaderLines): void {
    headers.push(
      ["x-amz-request-id", trace.requestId],
      ["x-amz-id-2", this.#ids.hostId],
      ["Server", "Atoll"],
    );
    if (trace.corsLines !== undefined) headers.push(...trace.corsLines);
  }

  /**
   * Adds the write token: a client shows it to another site, which then answers with this write
   * applied.
   */
  #pushToken(headers: HeaderLines): void {
    const token = this.#token();
    if (token !== undefined) headers.push([TOKEN_HEADER, token]);
  }

  #finish(trace: Trace, status: number, outBytes: number, errorCode: string | undefined): void {
    this.#underWay--;
    trace.seating?.leave();
    const { exchange, requestId, operation, bucket, key, accessKey, inBytes, startedMs } = trace;
    this.#deps.observer.finished({
      requestId,
      operation,
      method: exchange.method,
      bucket,
      key,
      accessKey,
      remoteAddress: exchange.remoteAddress,
      userAgent: exchange.headers.get("user-agent"),
      status,
      errorCode,
      inBytes,
      outBytes,
      durationMs: this.#deps.clock.monotonicMs() - startedMs,
    });
  }
}

function isForwarded(reply: Reply): boolean {
  return reply.kind === "whole" && reply.forwarded === true;
}

function bytesOf(body: Uint8Array | string | undefined): number {
  if (body === undefined) return 0;
  return typeof body === "string" ? Buffer.byteLength(body) : body.length;
}

function resourceOf(target: string): string {
  const queryAt = target.indexOf("?");
  return queryAt < 0 ? target : target.slice(0, queryAt);
}
