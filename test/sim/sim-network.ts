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
  /** One bit of a body is another on arrival, as no checksum of TCP notices. */
  readonly flip?: number;
};

const FAIR: Weather = { loss: 0, duplicate: 0, halfBody: 0, delayMsMax: 0 };

/** Who answers at an address, until it is gone. */
type Listener = {
  readonly owner: string;
  readonly handler: SimHandler;
  /** Rejects for whoever waits for an answer when the listener goes away. */
  readonly gone: Promise<never>;
};

/** A network of handlers, known by their origin or socket path, with names for its users. */
export class SimNetwork {
  weather: Weather = FAIR;
  readonly #seed: Seed;
  readonly #clock: Clock;
  readonly #listeners = new Map<string, Listener>();
  readonly #cuts = new Set<string>();

  constructor(seed: Seed, clock: Clock) {
    this.#seed = seed;
    this.#clock = clock;
  }

  /** Answers requests to an address ("http://a", or a socket's path) on behalf of a site. */
  serve(address: string, site: string, handler: SimHandler): () => void {
    let end: (reason: Error) => void = () => undefined;
    const gone = new Promise<never>((_resolve, reject) => {
      end = reject;
    });
    gone.catch(() => undefined);
    const listener = { owner: site, handler, gone };
    this.#listeners.set(address, listener);
    return () => {
      if (this.#listeners.get(address) === listener) this.#listeners.delete(address);
      end(networkError("ECONNRESET", address));
    };
  }

  /** The network as one site sees it. */
  connect(site: string): Network {
    return { request: (request) => this.#request(site, request) };
  }

  /** Cuts the line between two sites, both ways, until `heal`. */
  partition(left: string, right: string): void {
    this.cutOneWay(left, right);
    this.cutOneWay(right, left);
  }

  /** Nothing that one site sends arrives at another, be it a request or an answer. */
  cutOneWay(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
  }

  heal(): void {
    this.#cuts.clear();
    this.weather = FAIR;
  }

  async #request(site: string, request: NetworkRequest): Promise<NetworkResponse> {
    const { signal } = request;
    signal?.throwIfAborted();
    const address = request.target.kind === "url" ? request.target.origin : request.target.path;
    const sent = await collect(request.body, signal);
    const { body: _, signal: __, ...rest } = request;
    const owner = this.#listeners.get(address)?.owner ?? "";
    await this.#travel(site, owner, signal);
    const listener = this.#listeners.get(address);
    if (listener === undefined) throw networkError("ECONNREFUSED", address);
    const body = this.#flipped(sent);
    const { delayMsMax, duplicate } = this.weather;
    if (this.#seed.chance(duplicate)) {
      // A replay of the same bytes, some time after them.
      this.#clock.after(this.#seed.int(delayMsMax + 1), () => {
        void listener.handler({ ...rest, body: Uint8Array.from(body) }).catch(() => undefined);
      });
    }
    const answered = listener.handler({ ...rest, body });
    const answer = await unlessAborted(Promise.race([answered, listener.gone]), signal);
    await this.#travel(owner, site, signal);
    return {
      status: answer.status,
      headers: lowerCase(answer.headers ?? {}),
      body: this.#bodyOf({ from: owner, to: site, gone: listener.gone }, answer, signal),
    };
  }

  async #travel(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
    const { delayMsMax, loss } = this.weather;
    if (delayMsMax > 0) await this.#clock.sleep(this.#seed.int(delayMsMax + 1), signal);
    signal?.throwIfAborted();
    if (this.#cuts.has(`${from} ${to}`) || this.#seed.chance(loss)) {
      throw networkError("ECONNRESET", to);
    }
  }

  #flipped(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0 || !this.#seed.chance(this.weather.flip ?? 0)) return bytes;
    const flipped = Uint8Array.from(bytes);
    const at = this.#seed.int(flipped.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << this.#seed.int(8));
    return flipped;
  }

  async *#bodyOf(
    way: { readonly from: string; readonly to: string; readonly gone: Promise<never> },
    answer: SimResponse,
    signal: AbortSignal | undefined,
  ): AsyncIterable<Uint8Array> {
    const breaks = this.#seed.chance(this.weather.halfBody);
    for await (const bytes of untilAbort(pieces(answer.body), signal, way.gone)) {
      if (this.#cuts.has(`${way.from} ${way.to}`)) throw networkError("ECONNRESET", way.from);
      if (breaks) {
        yield bytes.subarray(0, this.#seed.int(bytes.length));
        throw networkError("ECONNRESET", way.from);
      }
      yield this.#flipped(bytes);
    }
    if (breaks) throw networkError("ECONNRESET", way.from);
  }
}

async function* pieces(body: SimResponse["body"]): AsyncIterable<Uint8Array> {
  if (body === undefined) return;
  if (body instanceof Uint8Array) yield body;
  else yield* body;
}

/** The outcome, or the reason of the abort if that comes first. */
async function unlessAborted<Value>(
  work: Promise<Value>,
  signal: AbortSignal | undefined,
): Promise<Value> {
  if (signal === undefined) return work;
  // After an abort nobody hears how it ends.
  work.catch(() => undefined);
  signal.throwIfAborted();
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * Gives up waiting when the signal aborts or the other side is gone, even if it never says another
 * word.
 */
async function* untilAbort(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  gone?: Promise<never>,
): AsyncIterable<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  for (;;) {
    const step = gone === undefined ? iterator.next() : Promise.race([iterator.next(), gone]);
    const next = await unlessAborted(step, signal);
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
