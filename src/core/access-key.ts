import { assert } from "./assert.ts";
import { type AccessKeyId, parseAccessKeyId } from "./names.ts";

/** A fresh access key; the secret can be read by whoever holds this value. */
export type AccessKeyPair = { readonly id: AccessKeyId; readonly secret: string };

/** How many random bytes `makeAccessKeyPair` turns into a key. */
export const ACCESS_KEY_RANDOM_BYTES = 56;

const ID_PREFIX = "ATOL";
const ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
// Sixty-four characters that need no quoting in a shell, an INI file or a URL.
const SECRET_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
const ID_RANDOM_LETTERS = 16;
const SECRETS_CHARS_MIN = 8;

/** As AWS has them: 20 upper-case characters and 40 characters of secret (240 random bits). */
export function makeAccessKeyPair(randomBytes: Uint8Array): AccessKeyPair {
  assert(randomBytes.length === ACCESS_KEY_RANDOM_BYTES, "an access key takes 56 random bytes");
  const tail = spell(randomBytes.subarray(0, ID_RANDOM_LETTERS), ID_LETTERS);
  const id = parseAccessKeyId(ID_PREFIX + tail);
  assert(id !== undefined, "a generated access key id is always valid");
  return { id, secret: spell(randomBytes.subarray(ID_RANDOM_LETTERS), SECRET_LETTERS) };
}

/** Why a secret that an operator brought along cannot be used; undefined when it can. */
export function secretKeyProblem(secret: string): string | undefined {
  if (secret.length < SECRETS_CHARS_MIN) return "a secret key has at least 8 characters";
  if (secret.length > 128) return "a secret key has at most 128 characters";
  return /^[\x21-\x7e]+$/.test(secret) ? undefined : "a secret key is printable ASCII, no spaces";
}

// Both alphabets have a power of two of letters, so every letter is equally likely.
function spell(bytes: Uint8Array, letters: string): string {
  let text = "";
  for (const byte of bytes) text += letters.charAt(byte % letters.length);
  return text;
}

/**
 * The context that the secret of a key is sealed for: it cannot be moved to another key's record.
 */
export function accessKeyContext(id: AccessKeyId): string {
  return `access-key:${id}`;
}
