import { equalsInConstantTime, type HmacKey, sha256Hex } from "../../core/hmac.ts";
import type { Hash, Hasher } from "../../ports/hash.ts";
import { S3Error } from "../errors.ts";

/** What the signature of the headers hands on to those of the chunks. */
export type ChunkChain = {
  readonly seedSignature: string;
  readonly signingKey: HmacKey;
  /** "20251121/us-east-1/s3/aws4_request" */
  readonly scope: string;
  /** "20251121T093000Z" */
  readonly date: string;
};

const EMPTY_SHA256 = sha256Hex("");

/**
 * Checks the signatures of chunks and trailer. Each covers the one before it, back to that of the
 * headers, so that none can be dropped, repeated, moved or taken from another request.
 */
export class ChunkVerifier {
  readonly #chain: ChunkChain;
  readonly #hash: Hash;
  #previous: string;
  #claimed = "";
  #chunk: Hasher | undefined;

  constructor(chain: ChunkChain, hash: Hash) {
    this.#chain = chain;
    this.#hash = hash;
    this.#previous = chain.seedSignature;
  }

  openChunk(signature: string): void {
    this.#claimed = signature;
    this.#chunk = undefined;
  }

  update(data: Uint8Array): void {
    this.#chunk ??= this.#hash.start("SHA256");
    this.#chunk.update(data);
  }

  /** Throws SignatureDoesNotMatch unless the chunk since `openChunk` is as it was signed. */
  closeChunk(): void {
    const digest = this.#chunk?.digest().toString("hex") ?? EMPTY_SHA256;
    this.#check("AWS4-HMAC-SHA256-PAYLOAD", `${EMPTY_SHA256}\n${digest}`, this.#claimed);
  }

  /** @param canonical the trailer as `name:value\n`. */
  checkTrailer(canonical: string, signature: string): void {
    this.#check("AWS4-HMAC-SHA256-TRAILER", sha256Hex(canonical), signature);
  }

  #check(algorithm: string, covered: string, signature: string): void {
    const { date, scope, signingKey } = this.#chain;
    const text = `${algorithm}\n${date}\n${scope}\n${this.#previous}\n${covered}`;
    if (!equalsInConstantTime(signingKey.hex(text), signature)) {
      throw new S3Error("SignatureDoesNotMatch", {
        fields: { StringToSign: text, SignatureProvided: signature },
      });
    }
    this.#previous = signature;
  }
}
