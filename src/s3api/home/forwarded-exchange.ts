import type { ForwardedAnswer, ForwardedRequest } from "../../core/forwarded-request.ts";
import type { BodySource, Exchange, ResponseHeaders } from "../../http/exchange.ts";
import { headersOf } from "../headers/header-list.ts";

/** A request that a peer has brought, whole, as handlers see requests. */
export function forwardedExchange(
  request: ForwardedRequest,
  answered: (answer: ForwardedAnswer) => void,
): Exchange {
  let closed = false;
  const send = (status: number, headers: ResponseHeaders, body: Uint8Array): void => {
    if (closed) return;
    closed = true;
    answered({ status, headers, body });
  };
  const { method, target, remoteAddress, secure, body } = request;
  return {
    ...{ method, target, remoteAddress, secure, headers: headersOf(request.headers) },
    get closed() {
      return closed;
    },
    // The peer that brought it waits for the answer in any case.
    onAbort: () => undefined,
    receive: (sink) => {
      if (body.length > 0) sink.data(body);
      sink.end();
    },
    pause: () => undefined,
    resume: () => undefined,
    send: (status, headers, text) => send(status, headers, Buffer.from(text ?? "")),
    sendHead: (status, headers) => send(status, headers, Buffer.alloc(0)),
    stream: (status, headers, _length, source) => {
      void gatherBody(source).then(
        (bytes) => send(status, headers, bytes),
        () => send(HALF_AN_ANSWER, [], Buffer.alloc(0)),
      );
    },
  };
}

/** The status when the document of an answer cannot be read to its end; the log says why. */
export const HALF_AN_ANSWER = 500;

/** Writes answer with documents, which are small. */
export async function gatherBody(source: BodySource): Promise<Buffer> {
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
