import type { Random } from "../../src/ports/random.ts";
import type { Seed } from "./seed.ts";

/** Bytes that replay. */
export function createSimRandom(seed: Seed): Random {
  return { bytes: (count) => seed.bytes(count) };
}
