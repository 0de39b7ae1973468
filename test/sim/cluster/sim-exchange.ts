import type {
  BodySource,
  Exchange,
  HttpHandler,
  ResponseHeaders,
} from "../../../src/http/exchange.ts";
import { headersOf } from "../../support/headers.ts";
import type { SimHandler, SimResponse } from "../sim-network.ts";

/** Lets what answers requests of an engine answer those of the simulated network. */
export function answerWith(handler: HttpHandler): SimHandler {
  return (request) =>
    new Promise<SimResponse>((resolve, reject) => {
      let answered = false;
      const answer = (status: number, headers: ResponseHeaders, body: Uint8Array): void => {
        if (answered) reject(new Error("answered twice"));
        answered = true;
        resolve({ status, headers: Object.fromEntries(headers), body });
      };
      const exchange: Exchange = {
        ...{ method: request.method, target: request.path },
        headers: headersOf(Object.entries(request.headers)),
        ...{ remoteAddress: "192.0.2.1", secure: false },
        get closed() {
          return answered;
        },
        onAbort: () => undefined,
        receive: (sink) => {
          if (request.body.length > 0) sink.data(Uint8Array.from(request.body));
          sink.end();
        },
        ...{ pause: () => undefined, resume: () => undefined },
        send: (status, headers, body) => answer(status, headers, Buffer.from(body ?? "")),
        sendHead: (status, headers) => answer(status, headers, Buffer.alloc(0)),
        stream: (status, headers, _length, source) => {
          collect(source).then((body) => answer(status, headers, body), reject);
        },
      };
      handler(exchange);
    });
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
