import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { PartSealer, PLAIN_BLOCK_BYTES, storedBytesOf } from "../../core/block-cipher.ts";
import type { SealedPiece } from "../../core/encryption-envelope.ts";
import { LIMITS } from "../../core/limits.ts";
import type { BodyReader, BodyWriter } from "../../storage/store.ts";
import { blocksInRange, storedRange } from "./block-plan.ts";
import { DecryptingReader } from "./decrypting-reader.ts";
import { EncryptingWriter, encryptWhole } from "./encrypting-writer.ts";

const DATA_KEY = new Uint8Array(32).fill(3);
const PREFIX = new Uint8Array(8).fill(4);

/** Sizes around the ends of blocks, where things go wrong. */
const sizes = fc.oneof(
  fc.nat(300),
  fc.integer({ min: -2, max: 2 }).map((by) => PLAIN_BLOCK_BYTES + by),
  fc.integer({ min: -2, max: 2 }).map((by) => 2 * PLAIN_BLOCK_BYTES + by),
);

type Body = {
  readonly parts: readonly SealedPiece[];
  readonly plaintext: Buffer;
  readonly stored: Buffer;
};

function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + seed * 17 + (at >> 8)) & 0xff;
  return bytes;
}

function bodyOf(partSizes: readonly number[]): Body {
  const parts = partSizes.map((size, at) => ({ partNumber: 2 * at + 1, size }));
  const plain = parts.map(({ partNumber, size }) => pattern(size, partNumber));
  const stored = parts.map(({ partNumber }, at) =>
    encryptWhole(new PartSealer(DATA_KEY, partNumber, PREFIX), plain[at] ?? Buffer.alloc(0)),
  );
  return { parts, plaintext: Buffer.concat(plain), stored: Buffer.concat(stored) };
}

const bodies = fc.array(sizes, { minLength: 1, maxLength: 3 }).map(bodyOf);

/** Gives bytes in pieces of these lengths, again and again, from memory that it uses again. */
function readerOf(bytes: Buffer, pieces: readonly number[]): BodyReader {
  const memory = Buffer.alloc(LIMITS.sliceBytes);
  let at = 0;
  let turn = 0;
  return {
    next: async () => {
      if (at >= bytes.length) return undefined;
      memory.fill(0xee);
      const length = Math.min(pieces[turn++ % pieces.length] ?? 1, bytes.length - at);
      bytes.copy(memory, 0, at, at + length);
      at += length;
      return memory.subarray(0, length);
    },
    close: () => undefined,
  };
}

async function readRange(
  { parts, stored }: Body,
  range: { start: number; end: number },
  pieces: readonly number[] = [LIMITS.sliceBytes],
): Promise<Buffer> {
  const { start, end } = storedRange(parts, range);
  const source = readerOf(stored.subarray(start, end), pieces);
  const reader = new DecryptingReader(source, DATA_KEY, blocksInRange(parts, range));
  const slices: Buffer[] = [];
  for (let slice = await reader.next(); slice !== undefined; slice = await reader.next()) {
    expect(slice.length).toBeLessThanOrEqual(LIMITS.sliceBytes);
    slices.push(Buffer.from(slice));
  }
  return Buffer.concat(slices);
}

test("any range of any parts comes back, however the stored bytes are cut", async () => {
  const pieces = fc.array(fc.integer({ min: 1000, max: 200_000 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(bodies, fc.nat(), fc.nat(), pieces, async (body, one, other, cuts) => {
      const { length } = body.plaintext;
      const [first = 0, second = 0] = [one % (length + 1), other % (length + 1)];
      const range = { start: Math.min(first, second), end: Math.max(first, second) };
      const read = await readRange(body, range, cuts);
      expect(read.equals(body.plaintext.subarray(range.start, range.end))).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test("a range reads the blocks around it and no more", () => {
  const parts = [{ partNumber: 0, size: 100 * PLAIN_BLOCK_BYTES }];
  const at = 50 * PLAIN_BLOCK_BYTES;
  expect(storedRange(parts, { start: at, end: at + 1 })).toEqual({
    start: 50 * 65_536,
    end: 51 * 65_536,
  });
  expect(storedRange(parts, { start: at - 1, end: at + 1 })).toEqual({
    start: 49 * 65_536,
    end: 51 * 65_536,
  });
});

test("what is written in any pieces is what is written at once", async () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 150_000 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(sizes, cuts, async (size, lengths) => {
      const plaintext = pattern(size, 1);
      const written: Buffer[] = [];
      const target: BodyWriter = {
        write: (bytes) => {
          written.push(Buffer.from(bytes));
          return undefined;
        },
        finish: async () => ({ bytes: 0, discard: () => undefined }),
        abort: () => undefined,
      };
      const writer = new EncryptingWriter(new PartSealer(DATA_KEY, 1, PREFIX), target);
      let at = 0;
      for (let turn = 0; at < size; turn++) {
        const length = lengths[turn % lengths.length] ?? 1;
        await writer.write(plaintext.subarray(at, at + length));
        at += length;
      }
      await writer.finish();
      const whole = encryptWhole(new PartSealer(DATA_KEY, 1, PREFIX), plaintext);
      expect(Buffer.concat(written).equals(whole)).toBe(true);
      expect(whole.length).toBe(storedBytesOf(size));
    }),
    { numRuns: 40 },
  );
});

test("no byte of a block leaves when any bit of it was changed", async () => {
  const filled = fc
    .array(
      sizes.filter((size) => size > 0),
      { minLength: 1, maxLength: 3 },
    )
    .map(bodyOf);
  await fc.assert(
    fc.asyncProperty(filled, fc.nat(), async (body, at) => {
      const stored = Buffer.from(body.stored);
      const bit = at % (stored.length * 8);
      stored[bit >> 3] = (stored[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const range = { start: 0, end: body.plaintext.length };
      await expect(readRange({ ...body, stored }, range)).rejects.toMatchObject({
        kind: "corrupt",
      });
    }),
    { numRuns: 60 },
  );
});

test.each([
  ["cut off at a block", (body: Body) => ({ ...body, stored: body.stored.subarray(0, 65_536) })],
  [
    "cut off at a block, with the size of what is left",
    (body: Body) => ({ ...body, parts: [{ partNumber: 1, size: PLAIN_BLOCK_BYTES }] }),
  ],
  [
    "put in another order",
    (body: Body) => {
      const first = body.stored.subarray(0, 65_536);
      const second = body.stored.subarray(65_536, 2 * 65_536);
      return { ...body, stored: Buffer.concat([second, first, body.stored.subarray(2 * 65_536)]) };
    },
  ],
  [
    "mixed of two bodies that were sent as the same part",
    (body: Body) => {
      const again = new PartSealer(DATA_KEY, 1, new Uint8Array(8).fill(5));
      const stored = encryptWhole(again, body.plaintext);
      return {
        ...body,
        stored: Buffer.concat([body.stored.subarray(0, 65_536), stored.subarray(65_536)]),
      };
    },
  ],
  [
    "taken for another part",
    (body: Body) => ({ ...body, parts: [{ ...whole(body), partNumber: 2 }] }),
  ],
])("a body that was %s is refused", async (_what, change) => {
  const body = bodyOf([2 * PLAIN_BLOCK_BYTES + 10]);
  const changed = change(body);
  const size = changed.parts.reduce((sum, part) => sum + part.size, 0);
  await expect(readRange(changed, { start: 0, end: size })).rejects.toMatchObject({
    kind: "corrupt",
  });
});

function whole({ parts }: Body): SealedPiece {
  const [part] = parts;
  if (part === undefined) throw new Error("a body has a part");
  return part;
}
