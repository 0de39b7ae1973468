import type { Brand } from "./brand.ts";
import { asBuffer } from "./bytes.ts";
import { type Hlc, parseHlc } from "./hlc.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "./names.ts";

/**
 * What a client carries from a write at one site to a request at another, which then waits for that
 * write.
 */
export type WriteToken = { readonly origin: OriginId; readonly seq: Seq; readonly hlc: Hlc };

/** A token as it travels: 34 characters of unpadded base64url, opaque to clients. */
export type WriteTokenText = Brand<string, "WriteTokenText">;

const VERSION = 1;
const TOKEN_BYTES = 25;
const TOKEN_CHARS = Math.ceil((TOKEN_BYTES * 4) / 3);

/**
 * Writes a token: base64url (RFC 4648, section 5) of the version (1 byte), the origin (8 bytes),
 * its sequence number and its HLC (8 bytes each, big-endian).
 */
export function formatWriteToken({ origin, seq, hlc }: WriteToken): WriteTokenText {
  const bytes = Buffer.allocUnsafe(TOKEN_BYTES);
  bytes[0] = VERSION;
  bytes.write(origin, 1, "hex");
  bytes.writeBigUInt64BE(BigInt(seq), 9);
  bytes.writeBigUInt64BE(hlc, 17);
  return bytes.toString("base64url") as WriteTokenText;
}

/** Reads what a client sent; undefined unless a site could have written exactly that. */
export function parseWriteToken(text: string): WriteToken | undefined {
  if (text.length !== TOKEN_CHARS) return undefined;
  const bytes = asBuffer(Buffer.from(text, "base64url"));
  // Node passes over characters that are no base64url: only what comes out the same is a token.
  if (bytes.length !== TOKEN_BYTES || bytes.toString("base64url") !== text) return undefined;
  if (bytes[0] !== VERSION) return undefined;
  const origin = parseOriginId(bytes.toString("hex", 1, 9));
  const seq = parseSeq(Number(bytes.readBigUInt64BE(9)));
  const hlc = parseHlc(bytes.readBigUInt64BE(17));
  if (origin === undefined || seq === undefined || hlc === undefined) return undefined;
  return { origin, seq, hlc };
}
