import type { Hash, HashAlgorithm } from "../../src/ports/hash.ts";
import { createNativeHash } from "../../src/ports/native-hash.ts";

/** The native digests without worker threads: nothing completes behind the simulator's back. */
export async function createInlineHash(): Promise<Hash> {
  const native = await createNativeHash();
  return {
    ...native,
    digests: async (algorithms, bytes) =>
      algorithms.map((algorithm) => native.digest(algorithm, bytes)),
    sha256Spans: async (memory, spans) => {
      const digests: Buffer[] = [];
      for (let at = 0; at < spans.length; at += 2) {
        const piece = new Uint8Array(memory, spans[at], spans[at + 1]);
        digests.push(native.digest("SHA256", piece));
      }
      return { memory, digests: Buffer.concat(digests) };
    },
    rest: () => 0,
    startStream(algorithms) {
      const hashers = algorithms.map((algorithm) => [algorithm, native.start(algorithm)] as const);
      let given = false;
      const update = async (bytes: Uint8Array): Promise<void> => {
        if (given) throw new Error("the hash was given up");
        for (const [, hasher] of hashers) hasher.update(bytes);
      };
      return {
        update,
        lend: update,
        async digest() {
          if (given) throw new Error("the hash was given up");
          return new Map<HashAlgorithm, Buffer>(
            hashers.map(([algorithm, hasher]) => [algorithm, hasher.digest()]),
          );
        },
        abort() {
          given = true;
        },
      };
    },
  };
}
