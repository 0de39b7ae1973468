import { createCipheriv, createDecipheriv } from "node:crypto";
import { assert } from "./assert.ts";
import { asBuffer } from "./bytes.ts";
import { HmacKey } from "./hmac.ts";

const CIPHER = "aes-256-gcm";
const PREFIX_BYTES = 8;
const NONCE_BYTES = PREFIX_BYTES + 4;
const TAG_BYTES = 16;

/**
 * Size of a stored block; the last one of a part may be shorter. Sixteen make a slice and no block
 * crosses a slice, so that a range reads no more than it would of an unencrypted body.
 */
export const STORED_BLOCK_BYTES = 64 * 1024;
const OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES;
/** Plaintext of a block, but for the last one of its part, which may be shorter or empty. */
export const PLAIN_BLOCK_BYTES = STORED_BLOCK_BYTES - OVERHEAD_BYTES;
/** What a part begins its nonces with. */
export const NONCE_PREFIX_BYTES = PREFIX_BYTES;
export const DATA_KEY_BYTES = 32;

/*
 * One block of an encrypted body. A part (a body stored in one piece is part 0) consists of whole
 * blocks and a last one; an empty part has one block without plaintext.
 *
 * | bytes | what                                                          |
 * | ----- | ------------------------------------------------------------- |
 * | 8     | random, the same in all blocks of a part                      |
 * | 4     | index of the block in its part, from 0 (u32)                  |
 * | n     | ciphertext, as long as the plaintext: 65508 but for the last  |
 * | 16    | tag                                                           |
 *
 * AES-256-GCM; the first two fields are the nonce. The tag also covers nine bytes that are not
 * stored: number of the part (u32), index of the block (u32), 1 for the last block of its part and
 * 0 for the others. The key is HMAC-SHA256 of "atoll part N" under the object's data key.
 */

/** How many blocks a part with this much plaintext has. */
export function blocksOf(plainBytes: number): number {
  return Math.max(1, Math.ceil(plainBytes / PLAIN_BLOCK_BYTES));
}

/** What a part with so much plaintext takes when it is stored, in bytes. */
export function storedBytesOf(plainBytes: number): number {
  return plainBytes + blocksOf(plainBytes) * OVERHEAD_BYTES;
}

/** The key of one part of an object, from the object's data key. */
export function derivePartKey(dataKey: Uint8Array, partNumber: number): Uint8Array {
  assert(dataKey.length === DATA_KEY_BYTES, "a data key has 32 bytes");
  return new HmacKey(dataKey).bytes(`atoll part ${partNumber}`);
}

/**
 * Encrypts the blocks of one part, in order. A part that is sent again has the same key but another
 * random prefix, so that no nonce comes twice with one key.
 */
export class PartSealer {
  readonly #key: Uint8Array;
  readonly #partNumber: number;
  readonly #nonce = Buffer.alloc(NONCE_BYTES);
  #index = 0;

  constructor(dataKey: Uint8Array, partNumber: number, noncePrefix: Uint8Array) {
    assert(noncePrefix.length === PREFIX_BYTES, "the prefix of nonces has 8 bytes");
    this.#key = derivePartKey(dataKey, partNumber);
    this.#partNumber = partNumber;
    this.#nonce.set(noncePrefix);
  }

  /** The stored form of the next block. Only the last one may be short. */
  seal(plaintext: Uint8Array, isLast: boolean): Buffer {
    assert(plaintext.length <= PLAIN_BLOCK_BYTES, "a block is no longer than a block");
    assert(isLast || plaintext.length === PLAIN_BLOCK_BYTES, "blocks before the last are full");
    const index = this.#index++;
    this.#nonce.writeUInt32LE(index, PREFIX_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, this.#nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(additionalData({ partNumber: this.#partNumber, index, isLast }));
    const stored = Buffer.allocUnsafe(plaintext.length + OVERHEAD_BYTES);
    stored.set(this.#nonce);
    stored.set(cipher.update(plaintext), NONCE_BYTES);
    cipher.final();
    stored.set(cipher.getAuthTag(), NONCE_BYTES + plaintext.length);
    return stored;
  }
}

export type BlockPlace = {
  readonly partNumber: number;
  readonly index: number;
  readonly isLast: boolean;
};

/** The plaintext of a stored block; undefined unless it is whole and belongs in this very place. */
export function openBlock(
  partKey: Uint8Array,
  place: BlockPlace,
  block: Uint8Array,
): Buffer | undefined {
  if (block.length < OVERHEAD_BYTES) return undefined;
  const nonce = block.subarray(0, NONCE_BYTES);
  if (asBuffer(nonce).readUInt32LE(PREFIX_BYTES) !== place.index) return undefined;
  const decipher = createDecipheriv(CIPHER, partKey, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(additionalData(place));
  decipher.setAuthTag(block.subarray(block.length - TAG_BYTES));
  const plaintext = decipher.update(block.subarray(NONCE_BYTES, block.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    // The one thing `final` can find is a tag that does not fit, and that is an outcome.
    return undefined;
  }
  return plaintext;
}

function additionalData({ partNumber, index, isLast }: BlockPlace): Buffer {
  const bytes = Buffer.allocUnsafe(9);
  bytes.writeUInt32LE(partNumber, 0);
  bytes.writeUInt32LE(index, 4);
  bytes[8] = isLast ? 1 : 0;
  return bytes;
}
