import { createHash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Hash, HashAlgorithm } from "../../src/ports/hash.ts";
import { createNativeHash } from "../../src/ports/native-hash.ts";
import { createInlineHash } from "../sim/sim-hash.ts";
import { fc } from "../support/properties.ts";

const CHECK_VALUES: Readonly<Record<HashAlgorithm, string>> = {
  CRC32: "cbf43926",
  CRC32C: "e3069283",
  CRC64NVME: "ae8b14860a799888",
  MD5: "25f9e794323b453885f5181f1b624d0b",
  SHA1: "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
  SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
  BLAKE3: "b7d65b48420d1033cb2595293263b6f72eabee20d55e699d0df1973b3c9deed1",
};
const ALGORITHMS = Object.keys(CHECK_VALUES) as HashAlgorithm[];

/** Bytes whose every region differs, so that a lost or swapped piece changes the digest. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4)
    bytes.writeUInt32LE(Math.imul(at, 0x9e37_79b1) >>> 0, at);
  return bytes;
}

describe.each([
  ["the native hashes", () => createNativeHash()],
  ["the inline hashes", () => createInlineHash()],
])("%s", (_name, open) => {
  let hash: Hash;
  beforeAll(async () => {
    hash = await open();
  });
  afterAll(() => hash.close());

  const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");

  test("digests asked for together are those asked for one by one", async () => {
    const job = fc.record({
      algorithms: fc.uniqueArray(fc.constantFrom(...ALGORITHMS), { minLength: 1 }),
      length: fc.oneof(fc.integer({ min: 0, max: 9000 }), fc.constantFrom(131_072, 2_000_000)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(job, { minLength: 1, maxLength: 40 }), async (jobs) => {
        const inputs = jobs.map(({ length }, at) => pattern(length + 16).subarray(at % 16));
        const all = await Promise.all(
          jobs.map(({ algorithms }, at) => hash.digests(algorithms, inputs[at] ?? Buffer.alloc(0))),
        );
        for (const [at, { algorithms }] of jobs.entries()) {
          const input = inputs[at] ?? Buffer.alloc(0);
          const expected = algorithms.map((algorithm) => hex(hash.digest(algorithm, input)));
          expect(all[at]?.map(hex)).toEqual(expected);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("inputs of one length are digested together, however many and however long", async () => {
    const algorithms = ["MD5", "CRC64NVME", "SHA256"] as const;
    for (const length of [0, 1, 55, 56, 63, 64, 119, 4096, 16_384, 16_385, 40_001]) {
      for (const count of [1, 2, 3, 4, 5, 9]) {
        const inputs = Array.from({ length: count }, (_, at) =>
          pattern(length + count).subarray(at, at + length),
        );
        // Enough beside them for the whole batch to be worth another thread.
        const other = hash.digests(algorithms, pattern(20_000));
        const all = await Promise.all(inputs.map((input) => hash.digests(algorithms, input)));
        await other;
        for (const [at, input] of inputs.entries()) {
          expect(all[at]?.map(hex)).toEqual(
            algorithms.map((name) => hex(hash.digest(name, input))),
          );
        }
      }
    }
  });

  test("digests are given to all who ask faster than they can be computed, turn after turn", async () => {
    const inputs = [50_000, 65_536, 3000, 120_000, 0].map((bytes) => pattern(bytes));
    const asked: Array<Promise<readonly Buffer[]>> = [];
    for (let turn = 0; turn < 40; turn++) {
      for (const input of inputs) asked.push(hash.digests(["MD5", "CRC64NVME"], input));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const expected = inputs.map((input) => [
      hex(hash.digest("MD5", input)),
      hex(hash.digest("CRC64NVME", input)),
    ]);
    for (const [at, digests] of (await Promise.all(asked)).entries()) {
      expect(digests.map(hex)).toEqual(expected[at % inputs.length]);
    }
  });

  test("digests that are under way when it closes are still given", async () => {
    const closing = await open();
    const input = pattern(8192);
    const under = Array.from({ length: 300 }, () => closing.digests(["MD5", "SHA256"], input));
    await new Promise((resolve) => setImmediate(resolve));
    await closing.close();
    const expected = [hex(hash.digest("MD5", input)), hex(hash.digest("SHA256", input))];
    for (const digests of await Promise.all(under)) expect(digests.map(hex)).toEqual(expected);
    expect((await closing.digests(["MD5"], input)).map(hex)).toEqual([expected[0]]);
  });

  test.each(ALGORITHMS)("%s of 123456789 is the published check value", (algorithm) => {
    expect(hex(hash.digest(algorithm, Buffer.from("123456789")))).toBe(CHECK_VALUES[algorithm]);
  });

  test.each(ALGORITHMS)(
    "%s comes out the same in one piece, in pieces and as a stream",
    async (algorithm) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 5 }),
          async (pieces) => {
            const whole = Buffer.concat(pieces);
            const expected = hex(hash.digest(algorithm, whole));
            const hasher = hash.start(algorithm);
            const stream = hash.startStream([algorithm]);
            for (const piece of pieces) {
              hasher.update(piece);
              await stream.update(piece);
            }
            expect(hex(hasher.digest())).toBe(expected);
            expect(hex((await stream.digest()).get(algorithm))).toBe(expected);
          },
        ),
        { numRuns: 20 },
      );
    },
  );

  test("hashers do not disturb each other", () => {
    const [left, right] = [hash.start("CRC64NVME"), hash.start("CRC64NVME")];
    left.update(Buffer.from("1234"));
    right.update(Buffer.from("other"));
    hash.digest("CRC64NVME", Buffer.from("between"));
    left.update(Buffer.from("56789"));
    expect(hex(left.digest())).toBe(CHECK_VALUES.CRC64NVME);
  });

  test("crc32 continues from a seed and agrees with zlib", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (head, tail) => {
        const whole = zlibCrc32(Buffer.concat([head, tail]));
        expect(hash.crc32(tail, hash.crc32(head))).toBe(whole);
        expect(hash.crc32(Buffer.concat([head, tail]))).toBe(whole);
      }),
    );
  });

  test("a stream of megabytes is hashed in order, and its bytes may change after each update", async () => {
    const bytes = pattern(5_000_003);
    const stream = hash.startStream(ALGORITHMS);
    const reused = Buffer.alloc(200_001);
    for (let at = 0; at < bytes.length; at += reused.length) {
      const length = Math.min(reused.length, bytes.length - at);
      bytes.copy(reused, 0, at, at + length);
      await stream.update(reused.subarray(0, length));
      reused.fill(0xff);
    }
    const digests = await stream.digest();
    expect([...digests.keys()].sort()).toEqual([...ALGORITHMS].sort());
    for (const algorithm of ALGORITHMS) {
      expect(hex(digests.get(algorithm))).toBe(hex(hash.digest(algorithm, bytes)));
    }
    expect(hex(digests.get("MD5"))).toBe(createHash("md5").update(bytes).digest("hex"));
  });

  test("one update larger than all buffers is taken whole", async () => {
    const bytes = pattern(9_000_000);
    const stream = hash.startStream(["SHA256"]);
    await stream.update(bytes);
    expect(hex((await stream.digest()).get("SHA256"))).toBe(hex(hash.digest("SHA256", bytes)));
  });

  test("many streams at once do not mix", async () => {
    const names = Array.from({ length: 12 }, (_, index) => `stream ${index} `);
    const digests = await Promise.all(
      names.map(async (name) => {
        const stream = hash.startStream(["MD5", "CRC64NVME", "CRC32"]);
        for (let round = 0; round < 20; round++)
          await stream.update(Buffer.from(name.repeat(3000)));
        return stream.digest();
      }),
    );
    for (const [index, name] of names.entries()) {
      const whole = Buffer.from(name.repeat(60_000));
      for (const algorithm of ["MD5", "CRC64NVME", "CRC32"] as const) {
        expect(hex(digests[index]?.get(algorithm))).toBe(hex(hash.digest(algorithm, whole)));
      }
    }
  });

  test("a stream without bytes or without algorithms has its answer too", async () => {
    const empty = hash.startStream(["MD5"]);
    expect(hex((await empty.digest()).get("MD5"))).toBe("d41d8cd98f00b204e9800998ecf8427e");
    const none = hash.startStream([]);
    await none.update(Buffer.from("ignored"));
    expect((await none.digest()).size).toBe(0);
  });

  test("a rest ends nothing that is under way, and finds nothing to end behind itself", async () => {
    const bytes = pattern(1_000_000);
    const stream = hash.startStream(["MD5", "SHA256"]);
    for (let rests = 0; rests < 3; rests++) hash.rest();
    expect(hash.rest()).toBe(0);
    await stream.update(bytes);
    hash.rest();
    expect(hex((await stream.digest()).get("MD5"))).toBe(hex(hash.digest("MD5", bytes)));
    for (let rests = 0; rests < 2; rests++) hash.rest();
    expect(hash.rest()).toBe(0);
    const next = hash.startStream(["MD5"]);
    await next.update(bytes);
    expect(hex((await next.digest()).get("MD5"))).toBe(hex(hash.digest("MD5", bytes)));
  });

  test("a stream that was given up answers no more", async () => {
    const stream = hash.startStream(["MD5", "SHA256"]);
    await stream.update(pattern(600_000));
    stream.abort();
    stream.abort();
    await expect(stream.update(Buffer.from("x"))).rejects.toThrow("given up");
    await expect(stream.digest()).rejects.toThrow("given up");
  });
});
