import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { createNativeHash } from "./native-hash.ts";

const hash = await createNativeHash({ workers: 1 });
afterAll(() => hash.close());

/** Around blocks, windows and slots of the kernel and of those who feed it. */
const lengths = fc.oneof(
  fc.constantFrom(0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 16_383, 16_384, 16_385),
  fc.constantFrom(262_143, 262_144, 262_145, 524_288 + 56),
  fc.nat({ max: 700_000 }),
);

function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed + 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    bytes[at] = state >> 16;
  }
  return bytes;
}

test("streams hashed beside each other come out as each does alone, whatever their lengths", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(lengths, { minLength: 1, maxLength: 7 }),
      fc.boolean(),
      async (sizes, withCrc) => {
        const bodies = sizes.map(bytesOf);
        const streams = bodies.map(() =>
          hash.startStream(withCrc ? ["MD5", "CRC64NVME"] : ["MD5"]),
        );
        await Promise.all(streams.map((stream, at) => stream.update(bodies[at] ?? Buffer.of())));
        const digests = await Promise.all(streams.map((stream) => stream.digest()));
        for (const [at, body] of bodies.entries()) {
          const md5 = createHash("md5").update(body).digest();
          expect(digests[at]?.get("MD5")?.equals(md5)).toBe(true);
          const crc = hash.digest("CRC64NVME", body);
          expect(digests[at]?.get("CRC64NVME")?.equals(crc)).toBe(withCrc ? true : undefined);
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("a stream that is given up leaves those beside it alone", async () => {
  const body = bytesOf(600_000, 5);
  const streams = Array.from({ length: 4 }, () => hash.startStream(["MD5", "CRC64NVME"]));
  const updates = streams.map((stream) => stream.update(body));
  streams[1]?.abort();
  await Promise.allSettled(updates);
  const kept = streams.filter((_, at) => at !== 1);
  const md5 = createHash("md5").update(body).digest();
  for (const stream of kept) expect((await stream.digest()).get("MD5")?.equals(md5)).toBe(true);
});
