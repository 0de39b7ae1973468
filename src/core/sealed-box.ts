import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import { assert } from "./assert.ts";
import { parseHex, toHex } from "./bytes.ts";

/** An X25519 key pair that lives for one exchange. */
export type BoxKeyPair = { readonly publicKey: string; readonly privateKey: KeyObject };

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** RFC 8410: a PKCS #8 X25519 key is this prefix and 32 bytes; its SPKI the other and the key. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");
const SPKI_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

/** Makes a pair of 32 random bytes that are used for nothing else. */
export function makeBoxKeyPair(seed: Uint8Array): BoxKeyPair {
  assert(seed.length === KEY_BYTES, "an X25519 key has 32 bytes");
  const der = Buffer.concat([PKCS8_PREFIX, seed]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return { publicKey: toHex(spki.subarray(-KEY_BYTES)), privateKey };
}

/**
 * Seals bytes so that only the holder of `recipient` (X25519, hex) can open them, and only for this
 * `context`: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869) over both public keys, AES-256-GCM.
 * Undefined when the recipient's key is none.
 *
 * | bytes | what |
 * | 32 | the sender's public key, made for this box alone |
 * | n | ciphertext, as long as the secret |
 * | 16 | tag |
 */
export function sealBox(
  recipient: string,
  plaintext: Uint8Array,
  context: string,
  seed: Uint8Array,
): Uint8Array | undefined {
  const sender = makeBoxKeyPair(seed);
  const key = agree(sender.privateKey, recipient, {
    ...{ sender: sender.publicKey, recipient, context },
  });
  if (key === undefined) return undefined;
  // The key is never used again, so that one nonce is enough.
  const cipher = createCipheriv("aes-256-gcm", key, Buffer.alloc(NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  const sealed = [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat([Buffer.from(sender.publicKey, "hex"), ...sealed]);
}

/** What a box holds; undefined when it is for another key or context, or is not whole. */
export function openBox(
  recipient: BoxKeyPair,
  box: Uint8Array,
  context: string,
): Buffer | undefined {
  if (box.length < KEY_BYTES + TAG_BYTES) return undefined;
  const sender = toHex(box.subarray(0, KEY_BYTES));
  const key = agree(recipient.privateKey, sender, {
    ...{ sender, recipient: recipient.publicKey, context },
  });
  if (key === undefined) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.alloc(NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(box.subarray(-TAG_BYTES));
  const start = decipher.update(box.subarray(KEY_BYTES, -TAG_BYTES));
  try {
    return Buffer.concat([start, decipher.final()]);
  } catch {
    // The one thing `final` can find is a tag that does not fit, and that is an outcome.
    return undefined;
  }
}

function agree(
  own: KeyObject,
  other: string,
  names: { readonly sender: string; readonly recipient: string; readonly context: string },
): Buffer | undefined {
  const raw = parseHex(other, KEY_BYTES);
  if (raw === undefined) return undefined;
  const der = Buffer.concat([SPKI_PREFIX, raw]);
  const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
  let shared: Buffer;
  try {
    shared = diffieHellman({ privateKey: own, publicKey });
  } catch {
    // OpenSSL refuses points that make every secret zero: such a key is none.
    return undefined;
  }
  const info = `atoll-box-1 ${names.sender} ${names.recipient} ${names.context}`;
  return Buffer.from(hkdfSync("sha256", shared, Buffer.alloc(0), info, KEY_BYTES));
}
