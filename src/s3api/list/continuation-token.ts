import type { Hash } from "../../ports/hash.ts";
import { S3Error } from "../errors.ts";

const VERSION = 1;
const HEAD_BYTES = 1;
const CRC_BYTES = 4;

/**
 * Continuation tokens: opaque to clients, checked when they come back.
 *
 * | bytes | field |
 * | --- | --- |
 * | 1 | version, 1 |
 * | n | name of the last item shown, UTF-8 |
 * | 4 | CRC-32 of all before, little-endian |
 */
export function encodeToken(hash: Pick<Hash, "crc32">, lastName: string): string {
  const name = Buffer.from(lastName);
  const token = Buffer.allocUnsafe(HEAD_BYTES + name.length + CRC_BYTES);
  token[0] = VERSION;
  name.copy(token, HEAD_BYTES);
  const body = token.subarray(0, HEAD_BYTES + name.length);
  token.writeUInt32LE(hash.crc32(body), body.length);
  return token.toString("base64url");
}

/** The name in a token; a token we did not make is the client's error. */
export function decodeToken(hash: Pick<Hash, "crc32">, text: string): string {
  const token = Buffer.from(text, "base64url");
  const bodyBytes = token.length - CRC_BYTES;
  // Buffer drops what is not base64; comparing the other way round finds such a token out.
  if (bodyBytes <= HEAD_BYTES || token.toString("base64url") !== text) throw incorrect(text);
  const body = token.subarray(0, bodyBytes);
  if (token.readUInt32LE(bodyBytes) !== hash.crc32(body)) throw incorrect(text);
  if (body[0] !== VERSION) throw incorrect(text);
  return body.toString("utf8", HEAD_BYTES);
}

function incorrect(text: string): S3Error {
  return new S3Error("InvalidArgument", {
    message: "The continuation token provided is incorrect",
    fields: { ArgumentName: "continuation-token", ArgumentValue: text },
  });
}
