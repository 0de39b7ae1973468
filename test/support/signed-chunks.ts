import { createHash, createHmac } from "node:crypto";
import { requestBytes, signedHeaders } from "./raw-http.ts";
import { REGION, ROOT_KEY, type TestServer } from "./server.ts";

const EMPTY_SHA256 = createHash("sha256").digest("hex");

export type ChunkedUpload = {
  readonly path: string;
  readonly chunks: readonly string[];
  /** A trailer line ("x-amz-checksum-crc32:…"); its presence picks the -TRAILER form. */
  readonly trailer?: string;
  /** Without signatures of chunks: STREAMING-UNSIGNED-PAYLOAD-TRAILER. */
  readonly unsigned?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** What X-Amz-Decoded-Content-Length says instead of the truth. */
  readonly claimedLength?: number;
  /** Changes the encoded body after everything has been signed. */
  readonly tamper?: (body: string) => string;
};

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Signs link by link, as AWS describes it:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 */
function chainOf(authorization: string, amzDate: string) {
  const day = amzDate.slice(0, 8);
  const scope = `${day}/${REGION}/s3/aws4_request`;
  const keyOfDay = hmac(hmac(`AWS4${ROOT_KEY.secretKey}`, day), REGION);
  const key = hmac(hmac(keyOfDay, "s3"), "aws4_request");
  let previous = authorization.slice(authorization.indexOf("Signature=") + "Signature=".length);
  return (kind: "PAYLOAD" | "TRAILER", digests: readonly string[]): string => {
    const lines = [`AWS4-HMAC-SHA256-${kind}`, amzDate, scope, previous, ...digests];
    previous = hmac(key, lines.join("\n")).toString("hex");
    return previous;
  };
}

function modeOf(upload: ChunkedUpload): string {
  if (upload.unsigned === true) return "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
  const signed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
  return upload.trailer === undefined ? signed : `${signed}-TRAILER`;
}

function encode(upload: ChunkedUpload, signed: Readonly<Record<string, string>>): string {
  const link = chainOf(signed["Authorization"] ?? "", signed["X-Amz-Date"] ?? "");
  let body = "";
  for (const chunk of [...upload.chunks, ""]) {
    const signature = link("PAYLOAD", [EMPTY_SHA256, sha256(chunk)]);
    const extension = upload.unsigned === true ? "" : `;chunk-signature=${signature}`;
    const end = chunk === "" && upload.trailer !== undefined ? "" : "\r\n";
    body += `${Buffer.byteLength(chunk).toString(16)}${extension}\r\n${chunk}${end}`;
  }
  if (upload.trailer === undefined) return body;
  body += `${upload.trailer}\r\n`;
  if (upload.unsigned !== true) {
    const signature = link("TRAILER", [sha256(`${upload.trailer}\n`)]);
    body += `x-amz-trailer-signature:${signature}\r\n`;
  }
  return `${body}\r\n`;
}

/** The bytes of a PUT whose body is aws-chunked, signed as AWS asks for it. */
export function chunkedUpload(server: TestServer, upload: ChunkedUpload): Buffer {
  const decodedBytes = Buffer.byteLength(upload.chunks.join(""));
  const headers: Record<string, string> = {
    "X-Amz-Content-Sha256": modeOf(upload),
    "X-Amz-Decoded-Content-Length": String(upload.claimedLength ?? decodedBytes),
    "Content-Encoding": "aws-chunked",
    ...(upload.trailer === undefined
      ? {}
      : { "X-Amz-Trailer": upload.trailer.slice(0, upload.trailer.indexOf(":")) }),
    ...upload.headers,
  };
  const request = { method: "PUT", path: upload.path, headers };
  // Signatures have a fixed length, so the length can be measured before it is signed.
  const draft = encode(upload, signedHeaders(server, request));
  const withLength = {
    ...request,
    headers: { ...headers, "Content-Length": String(Buffer.byteLength(draft)) },
  };
  const signed = signedHeaders(server, withLength);
  const body = encode(upload, signed);
  const tampered = upload.tamper?.(body) ?? body;
  // What is cut off or added shows in the length, or the server would wait for the rest.
  signed["Content-Length"] = String(Buffer.byteLength(tampered));
  return requestBytes(request, signed, tampered);
}
