import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  type RequestOptions,
  request as requestHttp,
} from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { Readable } from "node:stream";
import type { Network, NetworkRequest, NetworkResponse } from "./network.ts";

/**
 * HTTP over TCP, TLS and Unix sockets. Connections are kept and reused; idle ones do not keep the
 * process alive. Rejects when there is no answer, and with the signal's reason when it aborts.
 */
export function createNodeNetwork(): Network {
  const http = new HttpAgent({ keepAlive: true });
  const https = new HttpsAgent({ keepAlive: true });
  return { request: (request) => send(request, { http, https }) };
}

type Agents = { readonly http: HttpAgent; readonly https: HttpsAgent };

async function send(request: NetworkRequest, agents: Agents): Promise<NetworkResponse> {
  request.signal?.throwIfAborted();
  const client = open(request, agents);
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    client.once("response", resolve);
    client.on("error", reject);
  });
  sendBody(client, request.body);
  try {
    const message = await answered;
    return {
      status: message.statusCode ?? 0,
      headers: plainHeaders(message),
      body: wholeBody(message, request.signal),
    };
  } catch (failure) {
    throw request.signal?.aborted ? request.signal.reason : failure;
  }
}

function open(request: NetworkRequest, agents: Agents): ClientRequest {
  const { target, method, path, headers, signal } = request;
  const options: RequestOptions = {
    method,
    path,
    headers,
    ...(signal !== undefined && { signal }),
  };
  if (target.kind === "socket") return requestHttp({ ...options, socketPath: target.path });
  const { protocol, hostname, port } = new URL(target.origin);
  // An IPv6 host stands in brackets in a URL and without them everywhere else.
  const address = { ...options, hostname: hostname.replace(/^\[|\]$/g, ""), port };
  if (protocol === "http:") return requestHttp({ ...address, agent: agents.http });
  const trusted = target.trustedCertificates;
  const ca = trusted === undefined ? {} : { ca: trusted };
  return requestHttps({ ...address, ...ca, agent: agents.https });
}

function sendBody(client: ClientRequest, body: NetworkRequest["body"]): void {
  if (body === undefined) client.end();
  else if (body instanceof Uint8Array) client.end(body);
  else {
    // A body that fails must not look like one that ended: the request dies with it.
    const source = Readable.from(body, { objectMode: false });
    source.once("error", (failure) => client.destroy(failure));
    client.once("close", () => source.destroy());
    source.pipe(client);
  }
}

function plainHeaders(message: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}

/** Throws when the connection ends before the body does; leaving early closes the connection. */
async function* wholeBody(
  message: IncomingMessage,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  try {
    yield* message;
  } catch (failure) {
    throw signal?.aborted ? signal.reason : failure;
  }
  if (!message.complete) throw new Error("the answer ended before its body did");
}
