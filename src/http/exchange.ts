/**
 * One HTTP request and its response, as everything outside `http/` sees them. The engine has copied
 * method, target and headers, and has refused what could smuggle a second request.
 *
 * A response is sent exactly once, by one of `send`, `sendHead` and `stream`. After the client has
 * gone, all calls do nothing.
 */
export interface Exchange {
  readonly method: string;
  /** Path and query exactly as they came, still percent-encoded. */
  readonly target: string;
  readonly headers: RequestHeaders;
  /** The socket's address, without port. Never taken from a header. */
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** True once the client has gone or the response has been sent. */
  readonly closed: boolean;

  /** Called once if the client goes away before the response has been sent whole. */
  onAbort(callback: () => void): void;

  /**
   * Starts handing over the body; call at most once. Bytes that have arrived before wait (beyond a
   * small bound the socket is paused). `sink` is called in order: data…, then end or abort. A
   * request without a body gets `end()` at once. The memory given to `data` is only valid during
   * the call.
   */
  receive(sink: BodySink): void;
  /** Stops and resumes the flow of body bytes; a few may still arrive after `pause()`. */
  pause(): void;
  resume(): void;

  /**
   * Sends a whole response with its Content-Length. Closes the connection if the request's body was
   * not read to its end.
   *
   * @param lasting nobody will change the bytes of the body, so that they need not be copied.
   */
  send(
    status: number,
    headers: ResponseHeaders,
    body?: Uint8Array | string,
    lasting?: boolean,
  ): void;
  /** Answers HEAD: Content-Length as given, no body. */
  sendHead(status: number, headers: ResponseHeaders, contentLength: number): void;
  /**
   * Sends a long body with back-pressure. `next` gives the slice that follows (each is sent whole
   * before the next call; its memory may be reused then) and undefined at the end. A failure, or
   * bytes that do not add up to `contentLength`, cuts the connection. `done` is called once, last,
   * however it ends.
   */
  stream(status: number, headers: ResponseHeaders, contentLength: number, source: BodySource): void;
}

/** Names are lower case. */
export interface RequestHeaders {
  /** The value, with surrounding white space removed; repeated headers are joined with ",". */
  get(name: string): string | undefined;
  /** How often the header came. */
  count(name: string): number;
  /** The name of every header line, in the order of arrival. */
  readonly names: readonly string[];
  /** Every header line in the order of arrival. */
  readonly entries: ReadonlyArray<readonly [name: string, value: string]>;
}

/** Content-Length and Date are the engine's; a value must not hold CR, LF or NUL. */
export type ResponseHeaders = ReadonlyArray<readonly [name: string, value: string]>;

export interface BodySink {
  data(bytes: Uint8Array): void;
  end(): void;
  /** The client went away before the end of the body. */
  abort(): void;
}

export interface BodySource {
  next(): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  done(): void;
}

/** Answers every request that reaches an engine. Never throws. */
export type HttpHandler = (exchange: Exchange) => void;

/** A running front end. */
export interface HttpServer {
  /** What serves: not what was asked for where that does not load. */
  readonly engine: "uws" | "node";
  readonly port: number;
  /**
   * Reads the certificate and its key again: new connections use them, requests under way are
   * finished. Does nothing without TLS. Rejects with StorageFault "unsupported" when they
   * cannot be used; then everything stays as it was.
   */
  reloadTls(): Promise<void>;
  /** Stops accepting, waits for requests under way at most `graceMs`, then cuts the rest. */
  close(graceMs: number): Promise<void>;
}

/** Both in PEM. */
export type TlsFiles = { readonly certificatePath: string; readonly keyPath: string };

export type HttpServerSettings = {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsFiles | undefined;
};
