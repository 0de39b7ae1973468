import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { parseHex } from "./bytes.ts";
import type { SiteKeyPair } from "./identity.ts";

const SIGNATURE_BYTES = 64;
const KEY_BYTES = 32;
/** RFC 8410: an Ed25519 SubjectPublicKeyInfo is this prefix and the key. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const KEYS_KEPT = 256;

/** Keys of peers by their hex: making a key object costs as much as using it. */
const publicKeys = new Map<string, KeyObject>();

/** Signs bytes with a key pair, Ed25519 (RFC 8032): 64 bytes, the same for the same input. */
export function signBytes({ privateKey }: SiteKeyPair, bytes: Uint8Array): Buffer {
  return sign(undefined, bytes, privateKey);
}

/**
 * Whether the holder of this public key (32 bytes in hex) signed exactly these bytes. False for
 * anything malformed; never throws for what came from outside.
 */
export function verifyBytes(publicKey: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  const key = publicKeyOf(publicKey);
  return key !== undefined && verify(undefined, bytes, key, signature);
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
