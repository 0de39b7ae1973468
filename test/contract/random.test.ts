import { describe, expect, test } from "vitest";
import { cryptoRandom } from "../../src/ports/crypto-random.ts";
import { Seed } from "../sim/seed.ts";
import { createSimRandom } from "../sim/sim-random.ts";

describe.each([
  ["the system's randomness", () => cryptoRandom],
  ["the simulated randomness", () => createSimRandom(new Seed(1))],
])("%s", (_name, open) => {
  test.each([0, 1, 8, 16, 5000, 16_384, 100_000])("gives exactly %i bytes", (count) => {
    expect(open().bytes(count).length).toBe(count);
  });

  test("never gives the same bytes twice", () => {
    const random = open();
    const seen = new Set<string>();
    for (let draw = 0; draw < 10_000; draw++) {
      seen.add(Buffer.from(random.bytes(16)).toString("hex"));
    }
    expect(seen.size).toBe(10_000);
  });

  test("uses every byte value about equally often", () => {
    const random = open();
    const counts = new Array<number>(256).fill(0);
    for (const byte of random.bytes(256 * 1000)) counts[byte] = (counts[byte] as number) + 1;
    expect(Math.min(...counts)).toBeGreaterThan(700);
    expect(Math.max(...counts)).toBeLessThan(1300);
  });

  test("the bytes handed out stay what they are", () => {
    const random = open();
    const first = random.bytes(32);
    const copy = Uint8Array.from(first);
    for (let draw = 0; draw < 2000; draw++) random.bytes(32);
    expect(Uint8Array.from(first)).toEqual(copy);
  });
});

describe("a seed", () => {
  test("gives the same draws again, and others under another name", () => {
    const draws = (seed: Seed): number[] => Array.from({ length: 5 }, () => seed.int(1000));
    expect(draws(new Seed(7).derive("disk"))).toEqual(draws(new Seed("7").derive("disk")));
    expect(draws(new Seed(7).derive("disk"))).not.toEqual(draws(new Seed(7).derive("clock")));
  });

  test("derives the same child however much was drawn before", () => {
    const seed = new Seed(7);
    const before = seed.derive("child").bytes(8);
    seed.bytes(1000);
    expect(seed.derive("child").bytes(8)).toEqual(before);
  });

  test("shuffles without losing anything", () => {
    const items = Array.from({ length: 50 }, (_, index) => index);
    const shuffled = new Seed(7).shuffle(items);
    expect(shuffled).not.toEqual(items);
    expect(shuffled.toSorted((left, right) => left - right)).toEqual(items);
  });
});
