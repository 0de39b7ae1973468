import type { BodySink, Exchange } from "../../src/http/exchange.ts";
import { headersOf } from "./headers.ts";

/**
 * The receiving half of an exchange: hands over the given pieces one turn at a time, holds them
 * back while paused, and reuses its memory after each call, as engines do.
 */
export class BodyExchange {
  readonly #pieces: Buffer[];
  readonly #ending: "end" | "abort" | "silence";
  #sink: BodySink | undefined;
  #paused = false;
  #over = false;
  pauses = 0;
  received = 0;

  constructor(pieces: readonly Uint8Array[], ending: "end" | "abort" | "silence" = "end") {
    this.#pieces = pieces.map((piece) => Buffer.from(piece));
    this.#ending = ending;
  }

  asExchange(): Exchange {
    return {
      method: "PUT",
      target: "/bucket/key",
      headers: headersOf([]),
      remoteAddress: "127.0.0.1",
      secure: false,
      closed: false,
      onAbort: () => undefined,
      receive: (sink) => {
        this.#sink = sink;
        setImmediate(() => this.#flow());
      },
      pause: () => {
        this.#paused = true;
        this.pauses += 1;
      },
      resume: () => {
        this.#paused = false;
        setImmediate(() => this.#flow());
      },
      send: () => undefined,
      sendHead: () => undefined,
      stream: () => undefined,
    };
  }

  #flow(): void {
    while (!this.#paused && !this.#over) {
      const piece = this.#pieces.shift();
      if (piece === undefined) {
        this.#over = true;
        if (this.#ending === "end") this.#sink?.end();
        if (this.#ending === "abort") this.#sink?.abort();
        return;
      }
      this.received += piece.length;
      this.#sink?.data(piece);
      piece.fill(0xee);
    }
  }
}
