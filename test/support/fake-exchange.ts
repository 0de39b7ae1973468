import type {
  BodySink,
  BodySource,
  Exchange,
  HttpHandler,
  ResponseHeaders,
} from "../../src/http/exchange.ts";
import { headersOf } from "./headers.ts";

/** A request as an engine would hand it over. */
export type FakeRequest = {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** The client goes away after so many bytes of its body. */
  readonly abortAfterBytes?: number;
};

export type FakeAnswer = {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly contentLength: number;
  readonly body: Buffer;
};

const PIECE_BYTES = 64 * 1024;

/** Hands a request to a handler without any network, and waits for the whole answer. */
export function ask(handler: HttpHandler, request: FakeRequest): Promise<FakeAnswer> {
  return new Promise((resolve, reject) => {
    let answered = false;
    const answer = (
      status: number,
      headers: ResponseHeaders,
      contentLength: number,
      body: Buffer,
    ): void => {
      if (answered) {
        reject(new Error("answered twice"));
        return;
      }
      answered = true;
      const lines = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
      resolve({ status, headers: Object.fromEntries(lines), contentLength, body });
    };
    const exchange: Exchange = {
      method: request.method,
      target: request.target,
      headers: headersOf(Object.entries(request.headers)),
      remoteAddress: "192.0.2.1",
      secure: false,
      get closed() {
        return answered;
      },
      onAbort: () => undefined,
      receive: (sink) => void deliver(request, sink),
      pause: () => undefined,
      resume: () => undefined,
      send: (status, headers, body) => {
        const bytes = Buffer.from(body ?? "");
        answer(status, headers, bytes.length, bytes);
      },
      sendHead: (status, headers, length) => answer(status, headers, length, Buffer.alloc(0)),
      stream: (status, headers, length, source) => {
        collect(source).then((body) => answer(status, headers, length, body), reject);
      },
    };
    handler(exchange);
  });
}

async function deliver(request: FakeRequest, sink: BodySink): Promise<void> {
  const end = request.abortAfterBytes ?? request.body.length;
  for (let at = 0; at < end; at += PIECE_BYTES) {
    await new Promise((resolve) => setImmediate(resolve));
    // A copy that is spoilt afterwards, as an engine uses its memory again.
    const piece = Buffer.from(request.body.subarray(at, Math.min(end, at + PIECE_BYTES)));
    sink.data(piece);
    piece.fill(0xee);
  }
  if (request.abortAfterBytes === undefined) sink.end();
  else sink.abort();
}

async function collect(source: BodySource): Promise<Buffer> {
  const slices: Buffer[] = [];
  try {
    for (let slice = await source.next(); slice !== undefined; slice = await source.next()) {
      slices.push(Buffer.from(slice));
    }
  } finally {
    source.done();
  }
  return Buffer.concat(slices);
}
