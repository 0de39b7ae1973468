import { createCipheriv, createDecipheriv } from "node:crypto";
import { assert } from "./assert.ts";
import { ByteReader, ByteWriter, LayoutError } from "./bytes.ts";

/** The cluster's sealing keys by id: new secrets are sealed with the current one. */
export type KeyRing = {
  readonly current: string;
  /** 32 bytes each. Old keys stay as long as something sealed with them may be met. */
  readonly keys: ReadonlyMap<string, Uint8Array>;
  /**
   * Rings of clusters that the site belonged to before. Their ids may be those of this ring; they
   * open what was sealed then, until it has been sealed anew.
   */
  readonly former?: readonly KeyRing[];
};

const LAYOUT_VERSION = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Seals a secret with AES-256-GCM, so that only holders of the ring can read it, and only where it
 * belongs: `context` names that place ("access-key AKID") and must be given again to unseal. The
 * nonce is 12 random bytes, never used twice with one key.
 *
 * | bytes | what |
 * | 1 | version of this layout, 1 |
 * | varint, n | id of the key, UTF-8 |
 * | 12 | nonce |
 * | n | ciphertext, as long as the secret |
 * | 16 | tag over context, key id and ciphertext |
 */
export function sealSecret(
  ring: KeyRing,
  plaintext: Uint8Array,
  context: string,
  nonce: Uint8Array,
): Uint8Array {
  const key = ring.keys.get(ring.current);
  assert(key !== undefined && key.length === KEY_BYTES, "the current key is in its ring");
  assert(nonce.length === NONCE_BYTES, "a nonce has 12 bytes");
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(additionalData(ring.current, context));
  const writer = new ByteWriter(NONCE_BYTES + TAG_BYTES + plaintext.length + 64);
  writer.u8(LAYOUT_VERSION).text(ring.current).bytes(nonce);
  writer.bytes(cipher.update(plaintext)).bytes(cipher.final()).bytes(cipher.getAuthTag());
  return writer.finish();
}

/**
 * The secret again; undefined when it was sealed with a key the ring does not hold, for another
 * context, or is not whole.
 */
export function unsealSecret(
  ring: KeyRing,
  sealed: Uint8Array,
  context: string,
): Uint8Array | undefined {
  for (const one of [ring, ...(ring.former ?? [])]) {
    const secret = unsealWith(one, sealed, context);
    if (secret !== undefined) return secret;
  }
  return undefined;
}

/** Whether a secret is sealed as it would be now: with the current key, of this ring. */
export function isSealedWithCurrent(ring: KeyRing, sealed: Uint8Array, context: string): boolean {
  if (sealingKeyOf(sealed) !== ring.current) return false;
  const isAlone = ring.former === undefined || ring.former.length === 0;
  return isAlone || unsealWith(ring, sealed, context) !== undefined;
}

function unsealWith(ring: KeyRing, sealed: Uint8Array, context: string): Uint8Array | undefined {
  const parts = readParts(sealed);
  const key = parts === undefined ? undefined : ring.keys.get(parts.keyId);
  if (parts === undefined || key === undefined) return undefined;
  assert(key.length === KEY_BYTES, "a sealing key has 32 bytes");
  const decipher = createDecipheriv("aes-256-gcm", key, parts.nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(additionalData(parts.keyId, context));
  decipher.setAuthTag(parts.tag);
  const start = decipher.update(parts.ciphertext);
  try {
    return Buffer.concat([start, decipher.final()]);
  } catch {
    // The one thing `final` can find is a tag that does not fit, and that is an outcome.
    return undefined;
  }
}

/** Id of the key that a secret is sealed with; undefined for what is no sealed secret. */
export function sealingKeyOf(sealed: Uint8Array): string | undefined {
  return readParts(sealed)?.keyId;
}

/** The length in front keeps a key id from running into the context. */
function additionalData(keyId: string, context: string): Buffer {
  return new ByteWriter().text(keyId).text(context).finish();
}

function readParts(sealed: Uint8Array) {
  try {
    const reader = new ByteReader(sealed);
    if (reader.u8() !== LAYOUT_VERSION) return undefined;
    const keyId = reader.text();
    const nonce = reader.bytes(NONCE_BYTES);
    const ciphertext = reader.bytes(reader.remaining - TAG_BYTES);
    return { keyId, nonce, ciphertext, tag: reader.bytes(TAG_BYTES) };
  } catch (failure) {
    if (failure instanceof LayoutError) return undefined;
    throw failure;
  }
}
