import { expect, test } from "vitest";
import { hashPair, hashStart, KnownKeys } from "./known-keys.ts";

function hashesOf(text: string): { first: number; second: number } {
  const bytes = Buffer.from(text);
  return { ...hashPair(bytes, 0, bytes.length) };
}

test("knows every name that was added, also when more come than expected", () => {
  const known = new KnownKeys(1000);
  for (let index = 0; index < 5000; index++) {
    const { first, second } = hashesOf(`name ${index}`);
    known.add(first, second);
  }
  for (let index = 0; index < 5000; index++) {
    const { first, second } = hashesOf(`name ${index}`);
    expect(known.mayHold(first, second)).toBe(true);
  }
});

test("takes few new names for known ones", () => {
  const known = new KnownKeys(20_000);
  let wrong = 0;
  for (let index = 0; index < 20_000; index++) {
    const { first, second } = hashesOf(`obench\0${index}`);
    if (known.mayHold(first, second)) wrong += 1;
    known.add(first, second);
  }
  expect(wrong).toBeLessThan(400);
});

test("hashes go on from what stands in front", () => {
  const whole = hashesOf("obucket\0key");
  const start = hashStart(Buffer.from("obucket\0"));
  const key = Buffer.from("..key");
  expect({ ...hashPair(key, 2, 5, start) }).toEqual(whole);
});
