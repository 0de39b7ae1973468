/** Unpredictable bytes: ids, keys, nonces, jitter. The only place where randomness comes from. */
export interface Random {
  /** Fresh bytes, safe for keys. */
  bytes(count: number): Uint8Array;
}
