import { hash } from "node:crypto";
import { asBuffer } from "./bytes.ts";

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;
/** Longer messages than this are hashed from memory of their own. */
const SCRATCH_BYTES = 1024;

/** SHA-256 of text (as UTF-8) or bytes, in lower-case hexadecimal. */
export function sha256Hex(data: string | Uint8Array): string {
  return hash("sha256", data, "hex");
}

/** SHA-256 of bytes. */
export function sha256(data: Uint8Array): Buffer {
  return hash("sha256", data, "buffer");
}

/**
 * A key of HMAC-SHA256 (RFC 2104), prepared for many short messages.
 *
 * Two one-shot hashes over pads that already stand in memory cost a third of what an Hmac object
 * of node:crypto costs. Calls are synchronous, so one scratch area per key is never shared.
 */
export class HmacKey {
  readonly #inner = Buffer.allocUnsafeSlow(BLOCK_BYTES + SCRATCH_BYTES);
  readonly #outer = Buffer.allocUnsafeSlow(BLOCK_BYTES + DIGEST_BYTES);

  constructor(key: string | Uint8Array) {
    const given = typeof key === "string" ? Buffer.from(key, "utf8") : asBuffer(key);
    const short = given.length > BLOCK_BYTES ? sha256(given) : given;
    for (let at = 0; at < BLOCK_BYTES; at++) {
      const byte = short[at] ?? 0;
      this.#inner[at] = byte ^ INNER_PAD;
      this.#outer[at] = byte ^ OUTER_PAD;
    }
  }

  /** The code of a message (text as UTF-8) in lower-case hexadecimal. */
  hex(message: string): string {
    this.#prepare(message);
    return hash("sha256", this.#outer, "hex");
  }

  /** The code of a message as 32 bytes. */
  bytes(message: string): Buffer {
    this.#prepare(message);
    return hash("sha256", this.#outer, "buffer");
  }

  #prepare(message: string): void {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    if (message.length * 3 <= SCRATCH_BYTES) {
      const written = this.#inner.write(message, BLOCK_BYTES, "utf8");
      const input = this.#inner.subarray(0, BLOCK_BYTES + written);
      this.#outer.write(hash("sha256", input, "binary"), BLOCK_BYTES, "latin1");
      return;
    }
    const input = Buffer.concat([this.#inner.subarray(0, BLOCK_BYTES), Buffer.from(message)]);
    this.#outer.write(hash("sha256", input, "binary"), BLOCK_BYTES, "latin1");
  }
}

/**
 * Whether two texts are equal, in time that depends on their lengths only. For signatures and
 * tokens, whose right value must not be found out character by character.
 */
export function equalsInConstantTime(left: string, right: string): boolean {
  if (left.length !== right.length) return false;
  // Every character is looked at, whatever was found before it.
  let difference = 0;
  for (let at = 0; at < left.length; at++) difference |= left.charCodeAt(at) ^ right.charCodeAt(at);
  return difference === 0;
}
