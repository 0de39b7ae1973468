import { createHash } from "node:crypto";
import {
  amzDate,
  chainLink,
  queryText,
  type Signed,
  type SigningInput,
  sha256,
  signRequest,
} from "./signing.ts";
import type { WireRequest } from "./wire.ts";

export const PAYLOAD_MODES = [
  "signed",
  "unsigned",
  "streaming-signed",
  "streaming-signed-trailer",
  "streaming-unsigned-trailer",
] as const;
export type PayloadMode = (typeof PAYLOAD_MODES)[number];
export type Transport = "header" | "presigned";

/** A request in earnest, not yet signed. */
export type Plain = {
  readonly method: string;
  readonly path: string;
  readonly query: ReadonlyArray<readonly [string, string]>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

export type Signer = { readonly accessKey: string; readonly secret: string };

const HASHES: Readonly<Record<PayloadMode, string | undefined>> = {
  signed: undefined,
  unsigned: "UNSIGNED-PAYLOAD",
  "streaming-signed": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
  "streaming-signed-trailer": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
  "streaming-unsigned-trailer": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
};
const TRAILER = "x-amz-checksum-sha1";
const CHUNK_BYTES = 8192;
const REGION = "us-east-1";
const HOST = "s3.test:9000";

/** A signed request in parts, so that each can be spoilt. */
export type Forged = {
  readonly method: string;
  readonly path: string;
  readonly query: ReadonlyArray<readonly [string, string]>;
  readonly headers: ReadonlyArray<readonly [string, string]>;
  readonly pieces: readonly string[];
};

export type SignOptions = {
  readonly transport: Transport;
  readonly mode: PayloadMode;
  readonly signer: Signer;
  readonly nowMs: number;
  readonly expiresSeconds?: string;
  /** Changes what is signed, before it is. */
  readonly input?: (input: SigningInput) => SigningInput;
};

/** Signs a request as a client would. */
export function forge(plain: Plain, options: SignOptions): Forged {
  const { transport, mode, signer } = options;
  const hash = HASHES[mode] ?? sha256(plain.body);
  const date = amzDate(options.nowMs);
  const isChunked = mode.startsWith("streaming");
  const headers: Record<string, string> = { host: HOST, ...plain.headers };
  if (isChunked) {
    headers["x-amz-decoded-content-length"] = String(plain.body.length);
    headers["content-encoding"] = "aws-chunked";
    if (mode.endsWith("trailer")) headers["x-amz-trailer"] = TRAILER;
  }
  if (transport === "header") headers["x-amz-date"] = date;
  if (transport === "header" || mode !== "unsigned") headers["x-amz-content-sha256"] = hash;
  const base = {
    ...{ method: plain.method, path: plain.path, headers: Object.entries(headers) },
    ...{ accessKey: signer.accessKey, secret: signer.secret, date, payloadHash: hash },
    ...{ region: REGION, service: "s3", terminator: "aws4_request" },
    ...{ scopeDate: date.slice(0, 8), algorithm: "AWS4-HMAC-SHA256", signedNames: undefined },
  };
  const change = options.input ?? ((input: SigningInput) => input);
  if (transport === "header") {
    const input = change({ ...base, query: plain.query });
    const signed = signRequest(input);
    const authorization =
      `${input.algorithm} Credential=${signed.credential},` +
      `SignedHeaders=${signed.signedHeaders},Signature=${signed.signature}`;
    const lines = [...input.headers, ["authorization", authorization] as const];
    return { ...plain, headers: lines, pieces: pieces(plain.body, mode, input, signed) };
  }
  const draft = change({ ...base, query: plain.query });
  const names = draft.signedNames ?? draft.headers.map(([name]) => name).sort();
  const scope = [draft.scopeDate, draft.region, draft.service, draft.terminator].join("/");
  const query: ReadonlyArray<readonly [string, string]> = [
    ...draft.query,
    ["X-Amz-Algorithm", draft.algorithm],
    ["X-Amz-Credential", `${draft.accessKey}/${scope}`],
    ["X-Amz-Date", draft.date],
    ["X-Amz-Expires", options.expiresSeconds ?? "600"],
    ["X-Amz-SignedHeaders", names.join(";")],
  ];
  const signed = signRequest({ ...draft, query, signedNames: names });
  return {
    ...plain,
    query: [...query, ["X-Amz-Signature", signed.signature]],
    headers: draft.headers,
    pieces: pieces(plain.body, mode, draft, signed),
  };
}

/** The body on the wire, chunk by chunk; the last piece is the end with its trailer. */
function pieces(
  body: string,
  mode: PayloadMode,
  input: SigningInput,
  signed: Signed,
): readonly string[] {
  if (!mode.startsWith("streaming")) return [body];
  const isSigned = mode !== "streaming-unsigned-trailer";
  const chain = { secret: input.secret, scope: signed.scope, date: input.date };
  const empty = sha256("");
  let previous = signed.signature;
  const chunk = (data: string): string => {
    previous = chainLink(chain, "PAYLOAD", [previous, empty, sha256(data)]);
    const extension = isSigned ? `;chunk-signature=${previous}` : "";
    return `${data.length.toString(16)}${extension}\r\n${data}${data === "" ? "" : "\r\n"}`;
  };
  const parts: string[] = [];
  for (let at = 0; at < body.length; at += CHUNK_BYTES) {
    parts.push(chunk(body.slice(at, at + CHUNK_BYTES)));
  }
  let end = chunk("");
  if (mode.endsWith("trailer")) {
    const value = createHash("sha1").update(body).digest("base64");
    end += `${TRAILER}:${value}\r\n`;
    if (isSigned) {
      const link = chainLink(chain, "TRAILER", [previous, sha256(`${TRAILER}:${value}\n`)]);
      end += `x-amz-trailer-signature:${link}\r\n`;
    }
  }
  return [...parts, `${end}\r\n`];
}

export function toWire(forged: Forged): WireRequest {
  const query = queryText(forged.query);
  return {
    method: forged.method,
    target: query === "" ? forged.path : `${forged.path}?${query}`,
    headers: forged.headers,
    body: Buffer.from(forged.pieces.join(""), "latin1"),
  };
}
