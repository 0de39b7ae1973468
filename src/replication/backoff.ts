import type { Random } from "../ports/random.ts";

const FIRST_MS = 200;
const LONGEST_MS = 30_000;

/**
 * How long to wait after so many failures in a row (from 1): anything up to a bound that doubles
 * with each, "full jitter", so that sites that failed together do not come back together.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffMs(random: Random, failures: number): number {
  const bound = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 20));
  const [high = 0, low = 0] = random.bytes(2);
  return Math.ceil((bound * (high * 256 + low + 1)) / 65_536);
}
