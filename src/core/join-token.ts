import { ByteReader, ByteWriter, LayoutError, toHex } from "./bytes.ts";
import { sha256 } from "./hmac.ts";
import { type ClusterId, parseClusterId, parseSiteId, type SiteId } from "./names.ts";
import { readText, required } from "./tagged-fields.ts";

/**
 * What a site gives out so that another one may join its cluster, once. It holds a secret key:
 * whoever has the token is believed. The inviting site keeps only the public half.
 */
export type JoinToken = {
  readonly clusterId: ClusterId;
  readonly siteId: SiteId;
  readonly siteName: string;
  /**
   * Public key of the inviting site, Ed25519, 32 bytes as hex: whoever answers must hold its
   * private half.
   */
  readonly publicKey: string;
  readonly addresses: readonly string[];
  readonly certificates: readonly string[];
  /** Whether the operator asked for plain http. */
  readonly insecure: boolean;
  readonly expiresMs: number;
  /** Seed of the Ed25519 key that the joiner proves the token with: 32 bytes as hex. */
  readonly secret: string;
};

/**
 * A join token, in base64url behind "atoll-join-1.".
 *
 * | bytes | what                                                       |
 * | ----- | ---------------------------------------------------------- |
 * | 16    | cluster id                                                 |
 * | 8     | site id of the inviting site                               |
 * | n     | its name: text behind its length                           |
 * | 32    | its public key                                             |
 * | n     | addresses: count (varint), each text behind its length     |
 * | n     | certificates: count (varint), each text behind its length  |
 * | 1     | 1 for plain http, else 0                                   |
 * | 8     | end of its time, Unix milliseconds                         |
 * | 32    | secret                                                     |
 * | 4     | first bytes of SHA-256 of all before                       |
 */
const PREFIX = "atoll-join-1.";
const CHECK_BYTES = 4;
const LIST_MAX = 16;

/** Writes a token as a person copies it: one word. */
export function encodeJoinToken(token: JoinToken): string {
  const writer = new ByteWriter();
  writer.hex(token.clusterId).hex(token.siteId).text(token.siteName).hex(token.publicKey);
  for (const list of [token.addresses, token.certificates]) {
    writer.varint(list.length);
    for (const one of list) writer.text(one);
  }
  writer
    .u8(token.insecure ? 1 : 0)
    .u64(token.expiresMs)
    .hex(token.secret);
  writer.bytes(sha256(writer.view()).subarray(0, CHECK_BYTES));
  return PREFIX + writer.finish().toString("base64url");
}

/** Reads a token; undefined for what is none, or was not copied whole. */
export function decodeJoinToken(text: string): JoinToken | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const bytes = Buffer.from(text.slice(PREFIX.length), "base64url");
  const content = bytes.subarray(0, -CHECK_BYTES);
  const check = sha256(content).subarray(0, CHECK_BYTES);
  const isWhole = bytes.subarray(-CHECK_BYTES).equals(check);
  if (!isWhole || PREFIX + bytes.toString("base64url") !== text) return undefined;
  try {
    return readToken(new ByteReader(content));
  } catch (failure) {
    if (failure instanceof LayoutError) return undefined;
    throw failure;
  }
}

function readToken(reader: ByteReader): JoinToken {
  const token = {
    clusterId: required(parseClusterId(reader.hex(16)), "cluster"),
    siteId: required(parseSiteId(reader.hex(8)), "site"),
    siteName: readText(reader),
    publicKey: reader.hex(32),
    addresses: readTexts(reader),
    certificates: readTexts(reader),
    insecure: reader.u8() === 1,
    expiresMs: reader.u64(),
    secret: toHex(reader.bytes(32)),
  };
  reader.end();
  return token;
}

function readTexts(reader: ByteReader): string[] {
  const count = reader.varint();
  if (count > LIST_MAX) throw new LayoutError("a list is too long");
  return Array.from({ length: count }, () => readText(reader));
}
