import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import { assert } from "../core/assert.ts";
import { errnoOf, StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock } from "../ports/clock.ts";
import { isKeyOfCertificate } from "../ports/self-signed.ts";
import type { HttpHandler, HttpServer, HttpServerSettings, TlsFiles } from "./exchange.ts";
import { cannotListen, unusableTls } from "./front-faults.ts";
import { type Refusal, refuseRequest } from "./header-rules.ts";
import { HTTP_LIMITS } from "./http-limits.ts";
import { NodeExchange, type NodeHost } from "./node-exchange.ts";
import { FlatHeaders } from "./request-headers.ts";
import { statusText } from "./response-headers.ts";

export type NodeServerDeps = {
  readonly clock: Clock;
  /** Reads the certificate and its key. */
  readonly readFile: (path: string) => Promise<Uint8Array>;
};

/** A Unix socket in a directory of ours; its path must not exist yet. */
export type NodeSocketSettings = { readonly socketPath: string };

/**
 * Serves HTTP with node:http, for machines without the native engine and for the admin socket
 * (whose `port` is 0). Rejects with StorageFault: "unsupported" for an unusable certificate,
 * "unreachable" when the address cannot be had.
 */
export async function startNodeServer(
  handler: HttpHandler,
  settings: HttpServerSettings | NodeSocketSettings,
  deps: NodeServerDeps,
): Promise<HttpServer> {
  const tls = "socketPath" in settings ? undefined : settings.tls;
  const server = await openServer(tls, deps);
  const front = new NodeFront(server, tls !== undefined, deps.clock);
  server.on("request", (message, response) => front.accept(handler, message, response, false));
  server.on("checkContinue", (message, response) => {
    front.accept(handler, message, response, true);
  });
  server.on("checkExpectation", (message, response) => {
    front.refuse(message, response, { status: 417, reason: "expectation not supported" });
  });
  server.on("clientError", (failure, socket) => {
    if (front.isBusy(socket) || !socket.writable) socket.destroy();
    else socket.end(bareAnswer(statusOfParserError(errnoOf(failure))), () => socket.destroy());
  });
  await listen(server, settings);
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    engine: "node",
    port,
    reloadTls: async () => {
      if (tls === undefined || !("setSecureContext" in server)) return;
      const files = await readTlsFiles(tls, deps);
      try {
        (server as TlsServer).setSecureContext(files);
      } catch (cause) {
        throw unusableTls(tls, cause);
      }
    },
    close: (graceMs) => front.close(graceMs),
  };
}

async function openServer(tls: HttpServerSettings["tls"], deps: NodeServerDeps): Promise<Server> {
  const options = {
    insecureHTTPParser: false,
    requireHostHeader: false,
    maxHeaderSize: LIMITS.headerBlockBytesMax,
    headersTimeout: HTTP_LIMITS.headerMsMax,
    // An upload may take hours; silence is cut by the exchange.
    requestTimeout: 0,
    keepAliveTimeout: HTTP_LIMITS.keepAliveMsMax,
    connectionsCheckingInterval: HTTP_LIMITS.sweepMs,
    highWaterMark: HTTP_LIMITS.waitingBytesMax,
    noDelay: true,
  };
  const server = tls === undefined ? createServer(options) : await openTlsServer(tls, options);
  // Counted by our own rules, which answer; node would drop what is beyond silently.
  server.maxHeadersCount = 0;
  return server;

  async function openTlsServer(files: TlsFiles, shared: typeof options): Promise<Server> {
    const { cert, key } = await readTlsFiles(files, deps);
    try {
      const handshakeTimeout = HTTP_LIMITS.headerMsMax;
      const opened = createTlsServer({ ...shared, cert, key, handshakeTimeout });
      // An answer would wait for the end of a handshake that has failed.
      opened.on("tlsClientError", (_failure, socket) => socket.destroy());
      return opened;
    } catch (cause) {
      throw unusableTls(files, cause);
    }
  }
}

async function readTlsFiles(
  files: TlsFiles,
  deps: NodeServerDeps,
): Promise<{ cert: Buffer; key: Buffer }> {
  try {
    const cert = Buffer.from(await deps.readFile(files.certificatePath));
    const key = Buffer.from(await deps.readFile(files.keyPath));
    if (isKeyOfCertificate(cert, key)) return { cert, key };
    throw new Error("the certificate is that of another key");
  } catch (cause) {
    throw unusableTls(files, cause);
  }
}

function listen(server: Server, settings: HttpServerSettings | NodeSocketSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    if ("socketPath" in settings) {
      const { socketPath: path } = settings;
      const fault = (cause: unknown) =>
        new StorageFault("unreachable", `cannot listen on ${path} (${errnoOf(cause)})`, { cause });
      server.once("error", (cause) => reject(fault(cause)));
      server.listen({ path }, resolve);
    } else {
      const { host, port } = settings;
      server.once("error", (cause) => reject(cannotListen(settings, cause)));
      server.listen({ host, port, exclusive: true }, resolve);
    }
  });
}

function statusOfParserError(code: string | undefined): number {
  if (code === "HPE_HEADER_OVERFLOW") return 431;
  return code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
}

function bareAnswer(status: number): string {
  return `HTTP/1.1 ${statusText(status)}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}

/** What is open on one listener. */
class NodeFront implements NodeHost {
  readonly clock: Clock;
  readonly secure: boolean;
  readonly #server: Server;
  readonly #open = new Set<NodeExchange>();
  /** Sockets on which a request was refused: what follows on them may be smuggled. */
  readonly #refused = new WeakSet<object>();
  #draining = false;
  #drained: (() => void) | undefined;

  constructor(server: Server, secure: boolean, clock: Clock) {
    this.#server = server;
    this.secure = secure;
    this.clock = clock;
  }

  get draining(): boolean {
    return this.#draining;
  }

  accept(
    handler: HttpHandler,
    message: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): void {
    if (this.#refused.has(message.socket)) return;
    if (message.httpVersion !== "1.1") {
      this.refuse(message, response, { status: 505, reason: "HTTP/1.1 only" });
      return;
    }
    const names: string[] = [];
    const values: string[] = [];
    const raw = message.rawHeaders;
    for (let index = 0; index + 1 < raw.length; index += 2) {
      names.push((raw[index] ?? "").toLowerCase());
      values.push(decodeText(raw[index + 1] ?? ""));
    }
    const method = message.method ?? "";
    const target = decodeText(message.url ?? "");
    const refusal = refuseRequest({ method, target, names, values });
    if (refusal !== undefined) {
      this.refuse(message, response, refusal);
      return;
    }
    const headers = new FlatHeaders(names, values);
    const contentLength = headers.bodyLength();
    const request = { method, target, headers, contentLength, expectsContinue };
    const exchange = new NodeExchange(this, message, response, request);
    this.#open.add(exchange);
    handler(exchange);
  }

  refuse(message: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
    if (this.#refused.has(message.socket)) return;
    this.#refused.add(message.socket);
    const body = `${refusal.reason}\n`;
    response.writeHead(refusal.status, {
      connection: "close",
      "content-type": "text/plain",
      "content-length": body.length,
    });
    response.end(body);
  }

  isBusy(socket: unknown): boolean {
    for (const exchange of this.#open) if (exchange.isOn(socket)) return true;
    return false;
  }

  over(exchange: NodeExchange): void {
    this.#open.delete(exchange);
    if (this.#open.size === 0) this.#drained?.();
  }

  async close(graceMs: number): Promise<void> {
    assert(!this.#draining, "a server is closed once");
    this.#draining = true;
    const ended = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    if (this.#open.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.clock.after(graceMs, resolve);
        this.#drained = () => {
          cancel();
          resolve();
        };
      });
    }
    this.#server.closeAllConnections();
    await ended;
  }
}

/** Header bytes as text, as the native engine gives them: UTF-8, where node:http says Latin-1. */
function decodeText(text: string): string {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return Buffer.from(text, "latin1").toString("utf8");
  }
  return text;
}
