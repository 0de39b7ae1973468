import { operationChain } from "../core/operation-codec.ts";
import type { Hash } from "../ports/hash.ts";

/** An operation, and its body when that lies beside it. */
type Encoded = { readonly encoded: Uint8Array; readonly inline: Uint8Array | undefined };

/**
 * An operation from elsewhere, with the hash chain of its origin's log behind it. The check against
 * a signed head and the writer of the log both need that hash, and computing it costs as much as
 * the rest of the check. Invariant: the chain was computed here from these very bytes, so storage
 * need not believe its caller.
 */
export class ChainedEntry {
  readonly encoded: Uint8Array;
  readonly inline: Uint8Array | undefined;
  readonly #chain: Buffer;

  constructor(hash: Pick<Hash, "digest">, { encoded, inline }: Encoded) {
    this.encoded = encoded;
    this.inline = inline;
    this.#chain = operationChain((bytes) => hash.digest("SHA256", bytes), encoded);
  }

  get chain(): Buffer {
    return this.#chain;
  }
}
