import { ROOT_CREDENTIAL } from "../support/s3-site.ts";
import { forge, type PayloadMode, type Signer, type Transport, toWire } from "./forge.ts";
import { Wire, type WireAnswer, type WireRequest } from "./wire.ts";

const ROOT: Signer = { accessKey: ROOT_CREDENTIAL.id, secret: ROOT_CREDENTIAL.secret };

export type Ask = {
  readonly method: string;
  /** Path and query as they go over the wire. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly as?: Signer | undefined;
  readonly transport?: Transport;
  readonly mode?: PayloadMode;
};

/** Decodes as a client that signs must have meant it; bytes, so that nothing is repaired. */
export function unescapeBytes(text: string): Buffer {
  const parts: Buffer[] = [];
  let rest = text;
  while (rest !== "") {
    const match = /^%([0-9a-fA-F]{2})/.exec(rest);
    if (match === null) {
      const next = rest.indexOf("%", 1);
      const plain = next < 0 ? rest : rest.slice(0, next);
      parts.push(Buffer.from(plain, "latin1"));
      rest = rest.slice(plain.length);
    } else {
      parts.push(Buffer.from([Number.parseInt(match[1] ?? "", 16)]));
      rest = rest.slice(3);
    }
  }
  return Buffer.concat(parts);
}

function escapeBytes(bytes: Uint8Array, keep: RegExp): string {
  let text = "";
  for (const byte of bytes) {
    const letter = String.fromCharCode(byte);
    text += keep.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

/** Escapes bytes the way AWS's recipe asks for in a path. */
function canonicalPath(path: string): string {
  return escapeBytes(unescapeBytes(path), /[A-Za-z0-9\-._~/]/);
}

function canonicalValue(text: string): string {
  return escapeBytes(unescapeBytes(text.replaceAll("+", " ")), /[A-Za-z0-9\-._~]/);
}

/** The request with its signature; the target stays as it was written. */
export function signed(ask: Ask): WireRequest {
  const [path = "", rawQuery = ""] = ask.target.split(/\?(.*)/s);
  // Names and values that are already in canonical form survive `encode` only when decoded first.
  const query = rawQuery === "" ? [] : rawQuery.split("&").map((pair) => splitPair(pair));
  const plain = {
    ...{ method: ask.method, path: canonicalPath(path), headers: ask.headers ?? {} },
    ...{ query, body: ask.body ?? "" },
  };
  const form = { transport: ask.transport ?? "header", mode: ask.mode ?? "signed" } as const;
  const forged = forge(plain, { ...form, signer: ask.as ?? ROOT, nowMs: Date.now() });
  const wire = toWire(forged);
  const extra = forged.query
    .slice(query.length)
    .map((pair) => pair.map(encodeURIComponent).join("="));
  const queryText = [rawQuery, ...extra].filter((part) => part !== "").join("&");
  return { ...wire, target: queryText === "" ? path : `${path}?${queryText}` };
}

function splitPair(pair: string): readonly [string, string] {
  const [name = "", value = ""] = pair.split(/=(.*)/s);
  return [decodeURIComponent(canonicalValue(name)), decodeURIComponent(canonicalValue(value))];
}

/** A client of a served site over one raw connection. */
export class SiteClient {
  readonly #wire: Wire;

  constructor(port: number) {
    this.#wire = new Wire(port);
  }

  send(ask: Ask): Promise<WireAnswer> {
    return this.#wire.send(signed(ask));
  }

  sendUnsigned(request: WireRequest): Promise<WireAnswer> {
    return this.#wire.send(request);
  }

  close(): void {
    this.#wire.close();
  }
}

/** "404 NoSuchKey", or "200". */
export function outcome(answer: WireAnswer): string {
  return answer.code === "" ? String(answer.status) : `${answer.status} ${answer.code}`;
}

export function bodyOf(answer: WireAnswer): string {
  return answer.text.slice(answer.text.indexOf("\r\n\r\n") + 4);
}
