import type { ChecksumAlgorithm } from "../core/records.ts";

export type HashAlgorithm = ChecksumAlgorithm | "MD5" | "BLAKE3";

/**
 * Digests. Every algorithm gives the same bytes in every implementation (big-endian for CRCs, as S3
 * shows them).
 */
export interface Hash {
  /** CRC-32 (IEEE) as an unsigned number, continuing from `seed`. Guards every record on disk. */
  crc32(bytes: Uint8Array, seed?: number): number;
  /** The digest of bytes at hand; for small inputs on the hot path. */
  digest(algorithm: HashAlgorithm, bytes: Uint8Array): Buffer;
  /**
   * Several digests of one small input, in the order asked for. Those asked for in the same turn
   * are computed together, off this thread where that helps. The bytes must stay unchanged until
   * the promise resolves.
   */
  digests(algorithms: readonly HashAlgorithm[], bytes: Uint8Array): Promise<readonly Buffer[]>;
  /**
   * SHA-256 of many pieces of one memory, one behind the other, computed off this thread where that
   * helps. The memory is transferred: use the one that is returned, which holds the same bytes.
   *
   * @param spans offset and length of each piece.
   */
  sha256Spans(memory: ArrayBuffer, spans: Uint32Array): Promise<SpanDigests>;
  /** A digest of a stream, on this thread. */
  start(algorithm: HashAlgorithm): Hasher;
  /**
   * Several digests of one large stream, computed off this thread where that helps. `update`
   * resolves when the bytes may be changed again.
   */
  startStream(algorithms: readonly HashAlgorithm[]): StreamHasher;
  /**
   * Ends threads for large streams that have had none since the last call, and returns how many; 0
   * where there are no threads. Streams under way keep theirs. The next stream starts new ones,
   * which takes some tens of milliseconds.
   */
  rest(): number;
  close(): Promise<void>;
}

export type SpanDigests = { readonly memory: ArrayBuffer; readonly digests: Buffer };

export interface Hasher {
  update(bytes: Uint8Array): void;
  digest(): Buffer;
}

export interface StreamHasher {
  /** Feeds bytes in order. They must stay unchanged until the promise resolves. */
  update(bytes: Uint8Array): Promise<void>;
  /**
   * The same for bytes in shared memory, which are not copied. Their number must be a multiple of
   * 64, except for the last bytes of the stream, and all bytes of a stream must be handed over in
   * this way.
   */
  lend(bytes: Uint8Array): Promise<void>;
  /** The digests by algorithm; call once, after the last update has resolved. */
  digest(): Promise<ReadonlyMap<HashAlgorithm, Buffer>>;
  /** Gives up: frees what was held. */
  abort(): void;
}
