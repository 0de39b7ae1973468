import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from "uWebSockets.js";
import { StorageFault } from "../core/faults.ts";
import type { Cancel, Clock } from "../ports/clock.ts";
import type { HttpHandler, HttpServer, HttpServerSettings } from "./exchange.ts";
import { cannotListen, unusableTls } from "./front-faults.ts";
import { type Refusal, refuseRequest } from "./header-rules.ts";
import { HTTP_LIMITS } from "./http-limits.ts";
import { commonName, FlatHeaders } from "./request-headers.ts";
import { statusText } from "./response-headers.ts";
import { UwsExchange, type UwsHost } from "./uws-exchange.ts";

/** The engine reads this variable while it loads; without it a header block may have 4 KiB only. */
const UWS_ENVIRONMENT = { name: "UWS_HTTP_MAX_HEADERS_SIZE", value: "32768" } as const;

export type UwsServerDeps = {
  readonly clock: Clock;
  /** Sets a variable of the process environment, which only config.ts may touch. */
  readonly setEnvironment: (name: string, value: string) => void;
};

type Engine = typeof import("uWebSockets.js");

// LIBUS_LISTEN_EXCLUSIVE_PORT, missing in the engine's types. By default two processes would share
// the port, and each would see a part of the requests.
const EXCLUSIVE_PORT = 1;

/**
 * Serves HTTP with the native engine. Rejects with StorageFault: "unsupported" when there is no
 * engine for this platform or no usable certificate, "unreachable" when the address cannot be had.
 */
export async function startUwsServer(
  handler: HttpHandler,
  settings: HttpServerSettings,
  deps: UwsServerDeps,
): Promise<HttpServer> {
  deps.setEnvironment(UWS_ENVIRONMENT.name, UWS_ENVIRONMENT.value);
  const engine = await loadEngine();
  const open = (): Listener => openListener(engine, handler, settings, deps.clock);
  let current = open();
  const door = settings.tls === undefined ? undefined : openDoor(engine, settings, current.app);
  const socket = await listen(door?.app ?? current.app, settings);
  const retired = new Set<Listener>();
  return {
    engine: "uws",
    port: engine.us_socket_local_port(socket),
    reloadTls: async () => {
      if (door === undefined) return;
      const old = current;
      current = open();
      door.leadTo(current.app);
      retired.add(old);
      void old.front.retire().finally(() => retired.delete(old));
    },
    close: async (graceMs) => {
      engine.us_listen_socket_close(socket);
      await Promise.all([current, ...retired].map(({ front }) => front.close(graceMs)));
      door?.app.close();
    },
  };
}

/** Methods of the engine's apps that are missing in its types. */
type Door = TemplatedApp & {
  addChildAppDescriptor(descriptor: unknown): void;
  removeChildAppDescriptor(descriptor: unknown): void;
};
type Room = TemplatedApp & { getDescriptor(): unknown };

/**
 * An app that listens and hands its connections to the app with the current certificate. So the
 * port stays open while certificates change: closing it would reset connections that were not
 * accepted yet.
 */
function openDoor(engine: Engine, settings: HttpServerSettings, first: TemplatedApp) {
  const app = openApp(engine, settings) as Door;
  let behind: unknown;
  const leadTo = (next: TemplatedApp): void => {
    const descriptor = (next as Room).getDescriptor();
    app.addChildAppDescriptor(descriptor);
    if (behind !== undefined) app.removeChildAppDescriptor(behind);
    behind = descriptor;
  };
  leadTo(first);
  return { app, leadTo };
}

/** How long requests may go on over connections made with an earlier certificate. */
const RETIRED_GRACE_MS = 24 * 3600 * 1000;
/**
 * Longer than the engine lets a connection be silent: by then every handshake has led to a request,
 * or failed.
 */
const HANDSHAKES_MS = 30_000;

type Listener = { readonly app: TemplatedApp; readonly front: UwsFront };

function openListener(
  engine: Engine,
  handler: HttpHandler,
  settings: HttpServerSettings,
  clock: Clock,
): Listener {
  const app = openApp(engine, settings);
  const front = new UwsFront(app, settings, clock);
  app.any("/*", (response, request) => {
    front.accepting = true;
    accept(front, handler, response, request);
    front.accepting = false;
  });
  return { app, front };
}

async function loadEngine(): Promise<Engine> {
  try {
    return await import("uWebSockets.js");
  } catch (cause) {
    throw new StorageFault("unsupported", "the uWS engine does not load on this platform", {
      hint: "Start with --engine node.",
      cause,
    });
  }
}

function openApp(engine: Engine, settings: HttpServerSettings): TemplatedApp {
  const { tls } = settings;
  if (tls === undefined) return engine.App();
  try {
    return engine.SSLApp({ key_file_name: tls.keyPath, cert_file_name: tls.certificatePath });
  } catch (cause) {
    throw unusableTls(tls, cause);
  }
}

function listen(app: TemplatedApp, settings: HttpServerSettings): Promise<us_listen_socket> {
  const { host, port } = settings;
  return new Promise((resolve, reject) => {
    const listening = (socket: us_listen_socket | false) => {
      if (socket !== false) resolve(socket);
      else reject(cannotListen(settings));
    };
    // Host, port and options together are missing in the engine's types only.
    const listenExclusively = app.listen as unknown as (
      this: TemplatedApp,
      ...args: [string, number, number, typeof listening]
    ) => void;
    listenExclusively.call(app, host, port, EXCLUSIVE_PORT, listening);
  });
}

/** Runs for every request, before anything can await: the request object dies on return. */
function accept(
  front: UwsFront,
  handler: HttpHandler,
  response: HttpResponse,
  request: HttpRequest,
): void {
  const names: string[] = [];
  const values: string[] = [];
  request.forEach((name, value) => {
    names.push(commonName(name));
    values.push(value);
  });
  const method = request.getCaseSensitiveMethod();
  const query: string | undefined = request.getQuery();
  const path = request.getUrl();
  const target = query === undefined ? path : `${path}?${query}`;
  const refusal = refuseRequest({ method, target, names, values });
  if (refusal !== undefined) {
    refuse(response, refusal);
    return;
  }
  const headers = new FlatHeaders(names, values);
  const contentLength = headers.bodyLength();
  handler(front.begin(response, { method, target, headers, contentLength }));
}

/**
 * Answers and closes, but only after the engine has left its parser. Until then the request stays
 * open, and the engine cuts a connection that sends another one: what was smuggled is never parsed.
 */
function refuse(response: HttpResponse, refusal: Refusal): void {
  let gone = false;
  response.onAborted(() => {
    gone = true;
  });
  setImmediate(() => {
    if (gone) return;
    response.cork(() => {
      response.writeStatus(statusText(refusal.status));
      response.writeHeader("Content-Type", "text/plain");
      response.end(`${refusal.reason}\n`, true);
    });
  });
}

/**
 * Memory for small bodies of answers that wait to be sent together; one without room is sent at
 * once.
 */
const KEPT_BYTES = 1024 * 1024;
/** Copying more than this costs more than waking a client. */
const KEPT_BODY_BYTES_MAX = 64 * 1024;

/** Listeners on these addresses hear only this machine, which calls from the same address. */
const LOOPBACK = ["127.0.0.1", "::1"];

/** What is open on one listener. Invariant: `#open` counts the exchanges that are not over. */
class UwsFront implements UwsHost {
  readonly secure: boolean;
  readonly onlyPeer: string | undefined;
  accepting = false;
  readonly #app: TemplatedApp;
  readonly #clock: Clock;
  readonly #watched = new Set<UwsExchange>();
  readonly #kept = Buffer.allocUnsafeSlow(KEPT_BYTES);
  #keptBytes = 0;
  #waiting: UwsExchange[] = [];
  #open = 0;
  #draining = false;
  #closed = false;
  #drained: Array<() => void> = [];
  #nextSweep: Cancel | undefined;
  #retiring: (() => void) | undefined;

  constructor(app: TemplatedApp, settings: HttpServerSettings, clock: Clock) {
    this.#app = app;
    this.secure = settings.tls !== undefined;
    this.onlyPeer = LOOPBACK.find((address) => address === settings.host);
    this.#clock = clock;
  }

  get draining(): boolean {
    return this.#draining;
  }

  begin(response: HttpResponse, request: ConstructorParameters<typeof UwsExchange>[2]) {
    this.#open++;
    return new UwsExchange(this, response, request);
  }

  over(exchange: UwsExchange): void {
    this.#watched.delete(exchange);
    if (--this.#open === 0) for (const drained of this.#drained.splice(0)) drained();
  }

  keep(body: Uint8Array): Uint8Array | undefined {
    const end = this.#keptBytes + body.length;
    if (body.length > KEPT_BODY_BYTES_MAX || end > KEPT_BYTES) return undefined;
    const copy = this.#kept.subarray(this.#keptBytes, end);
    copy.set(body);
    this.#keptBytes = end;
    return copy;
  }

  sendLater(exchange: UwsExchange): void {
    // Runs once the loop has handed over everything that had arrived.
    if (this.#waiting.length === 0) setImmediate(() => this.#sendWaiting());
    this.#waiting.push(exchange);
  }

  #sendWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const exchange of waiting) exchange.sendNow();
    this.#keptBytes = 0;
  }

  watch(exchange: UwsExchange): void {
    this.#watched.add(exchange);
    this.#nextSweep ??= this.#clock.after(HTTP_LIMITS.sweepMs, () => this.#sweep());
  }

  /** Serves what has connected; every answer closes its connection. `close` cuts this short. */
  async retire(): Promise<void> {
    this.#draining = true;
    await new Promise<void>((over) => {
      const cancel = this.#clock.after(HANDSHAKES_MS, over);
      this.#retiring = () => {
        cancel();
        over();
      };
    });
    await this.close(RETIRED_GRACE_MS);
  }

  /** May be called again, to wait less long. */
  async close(graceMs: number): Promise<void> {
    this.#draining = true;
    this.#retiring?.();
    if (this.#open > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.after(graceMs, resolve);
        this.#drained.push(() => {
          cancel();
          resolve();
        });
      });
    }
    if (this.#closed) return;
    this.#closed = true;
    this.#app.close();
    this.#nextSweep?.();
    this.#nextSweep = undefined;
  }

  #sweep(): void {
    this.#nextSweep = undefined;
    for (const exchange of [...this.#watched]) exchange.sweep();
    if (this.#watched.size > 0 && this.#nextSweep === undefined) {
      this.#nextSweep = this.#clock.after(HTTP_LIMITS.sweepMs, () => this.#sweep());
    }
  }
}
