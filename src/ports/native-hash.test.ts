import { afterAll, describe, expect, test } from "vitest";
import type { Hash, HashAlgorithm } from "./hash.ts";
import { createNativeHash } from "./native-hash.ts";

const hash: Hash = await createNativeHash();
afterAll(() => hash.close());

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("digests of 123456789 are those of the catalogues", () => {
  const rows: ReadonlyArray<readonly [HashAlgorithm, string]> = [
    ["CRC32", "cbf43926"],
    ["CRC32C", "e3069283"],
    ["CRC64NVME", "ae8b14860a799888"],
    ["MD5", "25f9e794323b453885f5181f1b624d0b"],
    ["SHA1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"],
    ["SHA256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"],
    ["BLAKE3", "b7d65b48420d1033cb2595293263b6f72eabee20d55e699d0df1973b3c9deed1"],
  ];
  test.each(rows)("%s", (algorithm, expected) => {
    expect(hex(hash.digest(algorithm, Buffer.from("123456789")))).toBe(expected);
  });
});

test("a stream given up frees its place for the next one", async () => {
  for (let round = 0; round < 40; round++) {
    const stream = hash.startStream(["MD5", "SHA256"]);
    await stream.update(Buffer.alloc(300_000, round));
    stream.abort();
    await expect(stream.digest()).rejects.toThrow("given up");
  }
  const stream = hash.startStream(["MD5"]);
  await stream.update(Buffer.from("123456789"));
  const digests = await stream.digest();
  expect(hex(digests.get("MD5") ?? Buffer.alloc(0))).toBe("25f9e794323b453885f5181f1b624d0b");
});

test("closing the pool rejects the streams that are under way", async () => {
  const closing = await createNativeHash({ workers: 1 });
  const stream = closing.startStream(["MD5"]);
  await stream.update(Buffer.alloc(1000));
  await closing.close();
  await expect(stream.digest()).rejects.toThrow("hash worker has ended");
});

test("threads for streams end when two calls found them unused, and start anew", async () => {
  const resting = await createNativeHash({ workers: 2 });
  const body = Buffer.alloc(300_000, 7);
  const md5 = async (): Promise<Buffer | undefined> => {
    const stream = resting.startStream(["MD5", "SHA256"]);
    await stream.update(body);
    return (await stream.digest()).get("MD5");
  };
  const first = await md5();
  const open = resting.startStream(["MD5"]);
  expect([resting.rest(), resting.rest()]).toEqual([0, 1]);
  await open.update(body);
  expect((await open.digest()).get("MD5")).toEqual(first);
  expect([resting.rest(), resting.rest(), resting.rest()]).toEqual([0, 1, 0]);
  expect(await md5()).toEqual(first);
  await resting.close();
});
