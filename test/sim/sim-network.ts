import type { Clock } from "../../src/ports/clock.ts";
import type { Network, NetworkRequest, NetworkResponse } from "../../src/ports/network.ts";
import type { Seed } from "./seed.ts";

export type SimRequest = Omit<NetworkRequest, "body" | "signal"> & { readonly body: Uint8Array };
export type SimResponse = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
};
export type SimHandler = (request: SimRequest) => Promise<SimResponse>;

/** How badly messages travel. Every message draws its own fate. */
export type Weather = {
  /** A request or its answer never arrives; the caller sees a broken connection. */
  readonly loss: number;
  /** The request is handled twice; the caller sees the first answer. */
  readonly duplicate: number;
  /** The answer's body breaks off somewhere. */
  readonly halfBody: number;
  /** Each message takes up to this long, so that later ones may overtake it. */
  readonly delayMsMax: number;
};

const FAIR: Weather = { loss: 0, duplicate: 0, halfBody: 0, delayMsMax: 0 };

/** A network of handlers, known by their origin or socket path, with names for its users. */
export class SimNetwork {
  weather: Weather = FAIR;
  readonly #seed: Seed;
  readonly #clock: Clock;
  readonly #handlers = new Map<string, SimHandler>();
  readonly #owners = new Map<string, string>();
  readonly #cuts = new Set<string>();

  constructor(seed: Seed, clock: Clock) {
    this.#seed = seed;
    this.#clock = clock;
  }

  /** Answers requests to an address ("http://a", or a socket's path) on behalf of a site. */
  serve(address: string, site: string, handler: SimHandler): () => void {
    this.#handlers.set(address, handler);
    this.#owners.set(address, site);
    return () => {
      this.#handlers.delete(address);
    };
  }

  /** The network as one site sees it. */
  connect(site: string): Network {
    return { request: (request) => this.#request(site, request) };
  }

  /** Cuts the line between two sites, both ways, until `heal`. */
  partition(left: string, right: string): void {
    this.#cuts.add(`${left} ${right}`).add(`${right} ${left}`);
  }

  heal(): void {
    this.#cuts.clear();
    this.weather = FAIR;
  }

  async #request(site: string, request: NetworkRequest): Promise<NetworkResponse> {
    const { signal } = request;
    signal?.throwIfAborted();
    const address = request.target.kind === "url" ? request.target.origin : request.target.path;
    const body = await collect(request.body, signal);
    const { body: _, signal: __, ...rest } = request;
    await this.#travel(site, address, signal);
    const handler = this.#handlers.get(address);
    if (handler === undefined) throw networkError("ECONNREFUSED", address);
    const answer = await handler({ ...rest, body });
    if (this.#seed.chance(this.weather.duplicate)) await handler({ ...rest, body });
    await this.#travel(site, address, signal);
    return {
      status: answer.status,
      headers: lowerCase(answer.headers ?? {}),
      body: this.#bodyOf(site, address, answer, signal),
    };
  }

  async #travel(site: string, address: string, signal: AbortSignal | undefined): Promise<void> {
    const { delayMsMax, loss } = this.weather;
    if (delayMsMax > 0) await this.#clock.sleep(this.#seed.int(delayMsMax + 1), signal);
    signal?.throwIfAborted();
    if (this.#isCut(site, address) || this.#seed.chance(loss)) {
      throw networkError("ECONNRESET", address);
    }
  }

  #isCut(site: string, address: string): boolean {
    return this.#cuts.has(`${site} ${this.#owners.get(address) ?? ""}`);
  }

  async *#bodyOf(
    site: string,
    address: string,
    answer: SimResponse,
    signal: AbortSignal | undefined,
  ): AsyncIterable<Uint8Array> {
    const breaks = this.#seed.chance(this.weather.halfBody);
    for await (const bytes of untilAbort(pieces(answer.body), signal)) {
      if (this.#isCut(site, address)) throw networkError("ECONNRESET", address);
      if (breaks) {
        yield bytes.subarray(0, this.#seed.int(bytes.length));
        throw networkError("ECONNRESET", address);
      }
      yield bytes;
    }
    if (breaks) throw networkError("ECONNRESET", address);
  }
}

async function* pieces(body: SimResponse["body"]): AsyncIterable<Uint8Array> {
  if (body === undefined) return;
  if (body instanceof Uint8Array) yield body;
  else yield* body;
}

/** Gives up waiting when the signal aborts, even if the other side never says another word. */
async function* untilAbort(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  const aborted = new Promise<never>((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => undefined);
  for (;;) {
    signal?.throwIfAborted();
    const next = await Promise.race([iterator.next(), aborted]);
    if (next.done === true) return;
    yield next.value;
  }
}

async function collect(
  body: NetworkRequest["body"],
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const bytes of untilAbort(pieces(body), signal)) {
    parts.push(Uint8Array.from(bytes));
  }
  return Buffer.concat(parts);
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

function networkError(code: string, address: string): Error {
  return Object.assign(new Error(`${code}: ${address}`), { code });
}
