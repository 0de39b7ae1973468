import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { assert } from "./assert.ts";
import { toHex } from "./bytes.ts";

/** A site's Ed25519 key pair: what it signs with towards other sites. */
export type SiteKeyPair = {
  /** 32 bytes as hex; secret. */
  readonly seed: string;
  /** 32 bytes as hex; may be shown to anybody. */
  readonly publicKey: string;
  readonly privateKey: KeyObject;
};

const SEED_BYTES = 32;
/** RFC 8410: a PKCS #8 Ed25519 key is this prefix and the seed. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** Derives the key pair of a seed of 32 secret random bytes; the same seed gives the same pair. */
export function makeSiteKeyPair(seed: Uint8Array): SiteKeyPair {
  assert(seed.length === SEED_BYTES, "an Ed25519 seed has 32 bytes");
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: "der",
    type: "pkcs8",
  });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  // The raw key is the end of its SubjectPublicKeyInfo.
  return { seed: toHex(seed), publicKey: toHex(spki.subarray(-SEED_BYTES)), privateKey };
}
