import { derivePartKey, NONCE_PREFIX_BYTES, openBlock } from "../../core/block-cipher.ts";
import { asBuffer } from "../../core/bytes.ts";
import { StorageFault } from "../../core/faults.ts";
import { LIMITS } from "../../core/limits.ts";
import type { BodyReader } from "../../storage/store.ts";
import type { WantedBlock } from "./block-plan.ts";

/** Opens blocks one after the other, each in the place where it has to stand. */
export class BlockOpener {
  readonly #dataKey: Uint8Array;
  #part: { readonly number: number; readonly key: Uint8Array; readonly prefix: Buffer } | undefined;

  constructor(dataKey: Uint8Array) {
    this.#dataKey = dataKey;
  }

  /**
   * The wanted bytes of a stored block.
   *
   * @throws StorageFault "corrupt" when anything of the block is not as it was stored.
   */
  open(wanted: WantedBlock, block: Uint8Array): Buffer {
    const { place } = wanted;
    const prefix = asBuffer(block.subarray(0, NONCE_PREFIX_BYTES));
    if (this.#part === undefined || this.#part.number !== place.partNumber) {
      const key = derivePartKey(this.#dataKey, place.partNumber);
      this.#part = { number: place.partNumber, key, prefix: Buffer.from(prefix) };
    }
    const { key } = this.#part;
    // Blocks of a part that was sent twice do not go together.
    const plaintext = this.#part.prefix.equals(prefix) ? openBlock(key, place, block) : undefined;
    if (plaintext === undefined) throw damaged(place.index);
    return plaintext.subarray(wanted.from, wanted.to);
  }
}

function damaged(index: number): StorageFault {
  return new StorageFault("corrupt", `block ${index} of an encrypted body cannot be opened`, {
    hint: "The object cannot be read here; restore it from a backup or another site.",
  });
}

/**
 * Decrypts what a reader of stored bytes returns, beginning with the first of the wanted blocks. No
 * byte leaves before its whole block has been found authentic. Memory: a slice and a block.
 */
export class DecryptingReader implements BodyReader {
  readonly #stored: BodyReader;
  readonly #opener: BlockOpener;
  readonly #blocks: Iterator<WantedBlock>;
  readonly #output = Buffer.allocUnsafe(LIMITS.sliceBytes);
  #wanted: WantedBlock | undefined;
  /** Stored bytes that have been read and not decrypted yet. */
  #rest: Uint8Array = new Uint8Array(0);

  constructor(stored: BodyReader, dataKey: Uint8Array, blocks: Iterator<WantedBlock>) {
    this.#stored = stored;
    this.#opener = new BlockOpener(dataKey);
    this.#blocks = blocks;
    this.#advance();
  }

  async next(): Promise<Uint8Array | undefined> {
    while (this.#wanted !== undefined) {
      const bytes = this.#decrypt();
      if (bytes > 0) return this.#output.subarray(0, bytes);
      // The reader uses its memory again; blocks seldom lie across two slices.
      const carried = Buffer.from(this.#rest);
      const slice = await this.#stored.next();
      if (slice === undefined) throw damaged(this.#wanted.place.index);
      this.#rest = carried.length === 0 ? slice : Buffer.concat([carried, slice]);
    }
    return undefined;
  }

  close(): void {
    this.#wanted = undefined;
    this.#stored.close();
  }

  /** Opens whole blocks as far as the output has room; gives how many bytes it holds now. */
  #decrypt(): number {
    let filled = 0;
    while (this.#wanted !== undefined && this.#rest.length >= this.#wanted.storedBytes) {
      const { storedBytes, from, to } = this.#wanted;
      if (filled + to - from > this.#output.length) break;
      const plaintext = this.#opener.open(this.#wanted, this.#rest.subarray(0, storedBytes));
      this.#output.set(plaintext, filled);
      filled += plaintext.length;
      this.#rest = this.#rest.subarray(storedBytes);
      this.#advance();
    }
    return filled;
  }

  #advance(): void {
    const step = this.#blocks.next();
    this.#wanted = step.done === true ? undefined : step.value;
  }
}
