import { type PartSealer, PLAIN_BLOCK_BYTES } from "../../core/block-cipher.ts";
import type { BodyWriter, StagedBody } from "../../storage/store.ts";

/** Encrypts a large body on its way to storage; holds one block of plaintext. */
export class EncryptingWriter implements BodyWriter {
  readonly #sealer: PartSealer;
  readonly #target: BodyWriter;
  readonly #block = Buffer.allocUnsafe(PLAIN_BLOCK_BYTES);
  #used = 0;

  constructor(sealer: PartSealer, target: BodyWriter) {
    this.#sealer = sealer;
    this.#target = target;
  }

  /** The bytes must stay unchanged until the promise resolves. */
  async write(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) {
      // A full block waits for a byte behind it: only then it is known not to be the last.
      if (this.#used === PLAIN_BLOCK_BYTES) {
        await this.#target.write(this.#sealer.seal(this.#block, false));
        this.#used = 0;
      }
      const end = Math.min(bytes.length, at + PLAIN_BLOCK_BYTES - this.#used);
      this.#block.set(bytes.subarray(at, end), this.#used);
      this.#used += end - at;
      at = end;
    }
  }

  async finish(): Promise<StagedBody> {
    const last = this.#sealer.seal(this.#block.subarray(0, this.#used), true);
    this.#block.fill(0);
    await this.#target.write(last);
    return this.#target.finish();
  }

  abort(): void {
    this.#target.abort();
  }
}

/** The stored form of a small body. */
export function encryptWhole(sealer: PartSealer, plaintext: Uint8Array): Buffer {
  const blocks: Buffer[] = [];
  let at = 0;
  while (plaintext.length - at > PLAIN_BLOCK_BYTES) {
    blocks.push(sealer.seal(plaintext.subarray(at, at + PLAIN_BLOCK_BYTES), false));
    at += PLAIN_BLOCK_BYTES;
  }
  blocks.push(sealer.seal(plaintext.subarray(at), true));
  return Buffer.concat(blocks);
}
