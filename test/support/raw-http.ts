import { connect } from "node:net";
import aws4, { type Request } from "aws4";
import { REGION, ROOT_KEY, type TestServer } from "./server.ts";

export type RawAnswer = {
  readonly status: number;
  /** Names in lower case; the last one of a name wins. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What stands in `<Code>`, or "" when the body is no S3 error. */
  readonly code: string;
};

const GUARD_MS = 30_000;

/**
 * Sends bytes as they are and reads until the server closes the connection, or until a whole answer
 * with Content-Length has come. `undefined` when it closed without a word.
 */
export function sendBytes(
  server: Pick<TestServer, "port">,
  bytes: Uint8Array | string,
  options: { readonly thenEnd?: boolean; readonly from?: string } = {},
): Promise<RawAnswer | undefined> {
  return new Promise((resolve, reject) => {
    const where = { port: server.port, host: "127.0.0.1" };
    const { from: localAddress } = options;
    const socket = connect(localAddress === undefined ? where : { ...where, localAddress });
    const received: Buffer[] = [];
    const finish = (): void => {
      socket.destroy();
      resolve(parseAnswer(Buffer.concat(received)));
    };
    socket.setTimeout(GUARD_MS, () => {
      socket.destroy();
      reject(new Error(`no whole answer in ${GUARD_MS} ms: ${Buffer.concat(received)}`));
    });
    socket.on("data", (data: Buffer) => {
      received.push(data);
      if (isWhole(Buffer.concat(received))) finish();
    });
    socket.on("close", finish);
    // A server that refuses early may reset the connection while we still send.
    socket.on("error", finish);
    socket.on("connect", () => {
      socket.write(bytes);
      if (options.thenEnd === true) socket.end();
    });
  });
}

function splitAnswer(bytes: Buffer): { head: string; body: Buffer } | undefined {
  const text = bytes.toString("latin1");
  // An interim answer (100 Continue) stands before the real one.
  const interim = /^HTTP\/1\.1 1\d\d[^\n]*\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(text)?.[0].length ?? 0;
  const end = text.indexOf("\r\n\r\n", interim);
  if (end < 0) return undefined;
  return { head: text.slice(interim, end), body: bytes.subarray(end + 4) };
}

function headersOf(head: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of head.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return headers;
}

function isWhole(bytes: Buffer): boolean {
  const answer = splitAnswer(bytes);
  if (answer === undefined) return false;
  const headers = headersOf(answer.head);
  const length = headers["content-length"];
  if (length !== undefined) return answer.body.length >= Number(length);
  return headers["transfer-encoding"] === "chunked"
    ? answer.body.includes("0\r\n\r\n")
    : /^HTTP\/1\.1 (204|304)/.test(answer.head);
}

function parseAnswer(bytes: Buffer): RawAnswer | undefined {
  const answer = splitAnswer(bytes);
  if (answer === undefined) return undefined;
  const status = Number(answer.head.split(" ")[1]);
  const body = answer.body.toString();
  const code = /<Code>([^<]*)<\/Code>/.exec(body)?.[1] ?? "";
  return { status, headers: headersOf(answer.head), body, code };
}

export type SignedRequest = {
  readonly method: string;
  /** Path and query, percent-encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Signs as someone else. */
  readonly secretKey?: string;
  readonly accessKey?: string;
  readonly region?: string;
  readonly service?: string;
};

/** Request line and headers with a signature by aws4, an implementation that is not ours. */
export function signedHeaders(
  server: Pick<TestServer, "host">,
  request: SignedRequest,
): Record<string, string> {
  const unsigned: Request = {
    host: server.host,
    method: request.method,
    path: request.path,
    service: request.service ?? "s3",
    region: request.region ?? REGION,
    headers: { ...request.headers },
  };
  if (request.body !== undefined) unsigned.body = request.body as Buffer;
  const signed = aws4.sign(unsigned, {
    accessKeyId: request.accessKey ?? ROOT_KEY.accessKey,
    secretAccessKey: request.secretKey ?? ROOT_KEY.secretKey,
  });
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(signed.headers ?? {})) headers[name] = String(value);
  return headers;
}

/** The bytes of a request; `headers` may repeat a name by listing pairs. */
export function requestBytes(
  request: { readonly method: string; readonly path: string },
  headers: Readonly<Record<string, string>> | ReadonlyArray<readonly [string, string]>,
  body: Uint8Array | string = "",
): Buffer {
  const pairs: ReadonlyArray<readonly [string, string]> = Array.isArray(headers)
    ? headers
    : Object.entries(headers);
  const lines = pairs.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = `${request.method} ${request.path} HTTP/1.1\r\n${lines}\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), Buffer.from(body)]);
}

/** Signs a request, sends it and reads the answer, which has to come. */
export async function sendSigned(server: TestServer, request: SignedRequest): Promise<RawAnswer> {
  const headers = signedHeaders(server, request);
  const answer = await sendBytes(server, requestBytes(request, headers, request.body));
  if (answer === undefined) throw new Error(`${request.method} ${request.path}: no answer`);
  return answer;
}
