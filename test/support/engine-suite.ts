import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { afterEach, vi } from "vitest";
import type { Exchange, HttpHandler, HttpServer } from "../../src/http/exchange.ts";
import { startNodeServer } from "../../src/http/node-server.ts";
import { startUwsServer } from "../../src/http/uws-server.ts";
import { systemClock } from "../../src/ports/system-clock.ts";

export const HOST = "Host: a\r\n";
export const MIB = 1024 * 1024;
/** Both engines, which have to behave alike. */
export const ENGINES = ["uws", "node"] as const;

/** Starts an engine on a free port; whoever calls it closes it. */
export const startEngine = {
  uws: (handler: HttpHandler) =>
    startUwsServer(
      handler,
      { host: "127.0.0.1", port: 0, tls: undefined },
      { clock: systemClock, setEnvironment: (name, value) => vi.stubEnv(name, value) },
    ),
  node: (handler: HttpHandler) =>
    startNodeServer(
      handler,
      { host: "127.0.0.1", port: 0, tls: undefined },
      { clock: systemClock, readFile },
    ),
};

/** Reads the whole body and answers with its length, target and method. */
export function echo(exchange: Exchange): void {
  let bytes = 0;
  exchange.receive({
    data: (chunk) => {
      bytes += chunk.length;
    },
    end: () => exchange.send(200, [], `${exchange.method} ${exchange.target} ${bytes}`),
    abort: () => undefined,
  });
}

/** A promise with its ends in hand. */
export function deferred<Value = void>() {
  let resolve: (value: Value) => void = () => undefined;
  const promise = new Promise<Value>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

export type RawResponse = {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
};

/** A client that sends exactly the bytes it is given, which no HTTP library would do. */
export class RawClient {
  readonly socket: Socket;
  /** Resolves when the connection is gone, in whatever way. */
  readonly gone: Promise<void>;
  #chunks: Buffer[] = [];
  #receivedBytes = 0;
  #isGone = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.gone = new Promise((resolve) => {
      socket.on("close", () => {
        this.#isGone = true;
        this.#wake?.();
        resolve();
      });
    });
    socket.on("data", (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#receivedBytes += bytes.length;
      this.#wake?.();
    });
    // A reset is one way of closing; `gone` tells.
    socket.on("error", () => this.#wake?.());
  }

  static open(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new RawClient(socket)));
    });
  }

  /** Text goes out one byte for each character, so that any byte can be written. */
  send(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Everything received and not yet taken by `response`. */
  get pending(): string {
    return this.#received().toString("latin1");
  }

  #received(): Buffer {
    const whole = Buffer.concat(this.#chunks);
    this.#chunks = [whole];
    return whole;
  }

  /** Waits for text, or fails when the connection goes first. */
  async until(text: string): Promise<void> {
    while (!this.pending.includes(text)) await this.#more(text);
  }

  /** The next whole response; the request's method matters because HEAD has no body. */
  async response(method = "GET"): Promise<RawResponse> {
    await this.until("\r\n\r\n");
    const end = this.#received().indexOf("\r\n\r\n");
    const [first = "", ...lines] = this.#received().toString("latin1", 0, end).split("\r\n");
    const status = Number(first.split(" ")[1]);
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const hasBody = method !== "HEAD" && status !== 204 && status !== 304 && status >= 200;
    const length = hasBody ? Number(headers.get("content-length") ?? 0) : 0;
    const total = end + 4 + length;
    while (this.#receivedBytes < total) await this.#more(`${length} bytes of body`);
    const received = this.#received();
    const body = received.subarray(end + 4, total);
    this.#chunks = [received.subarray(total)];
    this.#receivedBytes -= total;
    return { status, headers, body };
  }

  async #more(wanted: string): Promise<void> {
    if (this.#isGone)
      throw new Error(`closed before ${wanted} came; got ${this.pending.slice(0, 500)}`);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** Servers of one engine, and connections to them; every server is closed after its test. */
export function engineSuite(engine: (typeof ENGINES)[number]) {
  const open: HttpServer[] = [];
  afterEach(async () => {
    for (const server of open.splice(0)) await server.close(0);
  });

  async function serve(handler: HttpHandler): Promise<HttpServer> {
    const server = await startEngine[engine](handler);
    open.push(server);
    return server;
  }

  async function dial(handler: HttpHandler): Promise<RawClient> {
    return RawClient.open((await serve(handler)).port);
  }

  return { serve, dial };
}
