import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { ByteWriter, parseHex } from "./bytes.ts";
import type { ClusterId, OriginId, Seq, SiteId } from "./names.ts";

/** A position in an origin's log, said by the site that the origin belongs to. */
export type HeadStatement = {
  readonly cluster: ClusterId;
  readonly site: SiteId;
  readonly origin: OriginId;
  readonly seq: Seq;
  /** 32 bytes: the hash chain of the origin's log after that operation. */
  readonly chain: Uint8Array;
};

/*
 * What is signed, with Ed25519 (RFC 8032). The text in front keeps a head from ever being taken
 * for anything else that the same key signs.
 *
 * | offset | bytes | meaning                             |
 * | ------ | ----- | ----------------------------------- |
 * | 0      | 13    | "atoll-head-1", line feed           |
 * | 13     | 16    | cluster id                          |
 * | 29     | 8     | site id                             |
 * | 37     | 8     | origin                              |
 * | 45     | 8     | sequence                            |
 * | 53     | 32    | chain                               |
 */
const PURPOSE = Buffer.from("atoll-head-1\n");
const SIGNATURE_BYTES = 64;
const KEY_BYTES = 32;
/** RFC 8410: an Ed25519 SubjectPublicKeyInfo is this prefix and the key. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const KEYS_KEPT = 256;

/** Keys of peers by their hex: making a key object costs as much as using it. */
const publicKeys = new Map<string, KeyObject>();

/** Signs a head with the site's private key: 64 bytes. */
export function signHead(privateKey: KeyObject, head: HeadStatement): Buffer {
  return sign(undefined, statementBytes(head), privateKey);
}

/**
 * Whether the site with this public key (32 bytes in hex) signed exactly this head. False for
 * anything malformed; never throws for what came from outside.
 */
export function verifyHead(publicKey: string, head: HeadStatement, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  const key = publicKeyOf(publicKey);
  return key !== undefined && verify(undefined, statementBytes(head), key, signature);
}

function statementBytes({ cluster, site, origin, seq, chain }: HeadStatement): Buffer {
  const writer = new ByteWriter(128);
  writer.bytes(PURPOSE).hex(cluster).hex(site).hex(origin).u64(seq).bytes(chain);
  return writer.finish();
}

function publicKeyOf(hex: string): KeyObject | undefined {
  const known = publicKeys.get(hex);
  if (known !== undefined) return known;
  const raw = parseHex(hex, KEY_BYTES);
  if (raw === undefined) return undefined;
  const spki = Buffer.concat([SPKI_PREFIX, raw]);
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  if (publicKeys.size >= KEYS_KEPT) publicKeys.clear();
  publicKeys.set(hex, key);
  return key;
}
