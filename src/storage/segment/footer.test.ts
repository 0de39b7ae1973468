import { describe, expect, test } from "vitest";
import { crc32 } from "../../../test/support/crc.ts";
import { decodedOrRefused } from "../../../test/support/decoding.ts";
import { fc } from "../../../test/support/properties.ts";
import {
  bucketNames,
  contentHashes,
  hlcs,
  objectKeys,
  origins,
} from "../../../test/support/value-arbitraries.ts";
import {
  type ObjectKey,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
} from "../../core/names.ts";
import { required } from "../../core/tagged-fields.ts";
import { encodeFooter, FooterBuilder } from "./footer.ts";
import {
  decodeFooter,
  decodeFooterTrailer,
  type Footer,
  footerBatches,
  footerChunks,
  footerFindKey,
  footerMayHoldChunk,
  footerMayHoldKey,
} from "./footer-reader.ts";

const OFFSET = 40_960;
const ORIGIN = required(parseOriginId("0123456789abcdef"), "origin");
const BUCKET = required(parseBucketName("photos"), "bucket");
const noTurns = (): Promise<void> => Promise.resolve();

function keyOf(text: string): ObjectKey {
  return required(parseObjectKey(text), "key");
}

function builderOf(segmentId: number, origin = ORIGIN): FooterBuilder {
  return new FooterBuilder({ segmentId, origin, crc: crc32 });
}

async function sealed(builder: FooterBuilder): Promise<Buffer> {
  return encodeFooter(await builder.build(noTurns), OFFSET, crc32);
}

function trailerOf(pages: Buffer, segmentId: number): ReturnType<typeof decodeFooterTrailer> {
  const expected = { segmentId, fileBytes: OFFSET + pages.length };
  return decodeFooterTrailer(pages.subarray(-64), expected, crc32);
}

function readFooter(pages: Buffer, segmentId: number): Footer {
  const found = trailerOf(pages, segmentId);
  if (found.outcome !== "trailer") throw new Error(found.outcome);
  expect(found.trailer.footerOffset).toBe(OFFSET);
  const read = decodeFooter(pages.subarray(0, -64), found.trailer, crc32);
  if (read.outcome !== "footer") throw new Error(read.reason);
  return read.footer;
}

const contents = fc.record({
  origin: origins,
  hlcs: fc.array(hlcs, { minLength: 1, maxLength: 5 }),
  keys: fc.array(fc.tuple(bucketNames, objectKeys), { maxLength: 300, size: "max" }),
  chunks: fc.array(fc.record({ hash: contentHashes, offset: fc.maxSafeNat(), bytes: fc.nat() }), {
    maxLength: 5,
  }),
  batches: fc.array(
    fc.record({
      offset: fc.maxSafeNat(),
      opsBytes: fc.nat(),
      batchBytes: fc.nat(),
      operations: fc.nat({ max: 1000 }),
      firstSeq: fc.integer({ min: 1 }),
      lastSeq: fc.integer({ min: 1 }),
    }),
    { minLength: 1, maxLength: 5 },
  ),
});

describe("footers", () => {
  test("tell all that was added", async () => {
    await fc.assert(
      fc.asyncProperty(contents, async (content) => {
        const builder = builderOf(5, content.origin);
        for (const batch of content.batches) builder.addBatch(batch);
        for (const chunk of content.chunks) builder.addChunk(chunk);
        for (const hlc of content.hlcs) builder.observeHlc(hlc);
        builder.observeChain(Buffer.alloc(32, 9));
        const wanted = new Map<string, number[]>();
        content.keys.forEach(([bucket, key], at) => {
          builder.addKey(bucket, key, at * 100);
          const name = `${bucket}\0${key}`;
          wanted.set(name, [...(wanted.get(name) ?? []), at * 100]);
        });
        const pages = await sealed(builder);
        expect(pages.length % 4096).toBe(0);
        const footer = readFooter(pages, 5);
        const ordered = content.hlcs.toSorted((left, right) => (left < right ? -1 : 1));
        expect(footer.hlcs).toEqual({ smallest: ordered[0], greatest: ordered.at(-1) });
        expect(footer.origin).toBe(content.origin);
        expect(footer.firstSeq).toBe(content.batches[0]?.firstSeq);
        expect(footer.lastSeq).toBe(content.batches.at(-1)?.lastSeq);
        expect(footer.chain).toEqual(Buffer.alloc(32, 9));
        expect([...footerBatches(footer)]).toEqual(content.batches);
        expect([...footerChunks(footer)]).toEqual(content.chunks);
        for (const [bucket, key] of content.keys) {
          expect(footerFindKey(footer, bucket, key)).toEqual(wanted.get(`${bucket}\0${key}`));
          expect(footerMayHoldKey(footer, bucket, key)).toBe(true);
        }
        for (const { hash } of content.chunks) expect(footerMayHoldChunk(footer, hash)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test("find every one of many keys across runs, in any order of arrival, and no other", async () => {
    const builder = builderOf(1);
    const count = 5000;
    for (let at = 0; at < count; at++) {
      const number = (at * 1237) % count;
      builder.addKey(BUCKET, keyOf(`some/long/prefix/${2 * number}`), number);
    }
    builder.addKey(BUCKET, keyOf("some/long/prefix/8"), 77_777);
    const footer = readFooter(await sealed(builder), 1);
    expect(footer.keyCount).toBe(count + 1);
    for (let number = 0; number < count; number++) {
      const expected = number === 4 ? [4, 77_777] : [number];
      expect(footerFindKey(footer, BUCKET, keyOf(`some/long/prefix/${2 * number}`))).toEqual(
        expected,
      );
      expect(footerFindKey(footer, BUCKET, keyOf(`some/long/prefix/${2 * number + 1}`))).toEqual(
        [],
      );
    }
  });

  test("find all records of a key that was written more often than a block holds", async () => {
    const builder = builderOf(1);
    const offsets = Array.from({ length: 500 }, (_, at) => at * 4096);
    for (const offset of offsets) builder.addKey(BUCKET, keyOf("again"), offset);
    builder.addKey(BUCKET, keyOf("aft"), 1);
    builder.addKey(BUCKET, keyOf("agaio"), 2);
    const footer = readFooter(await sealed(builder), 1);
    expect(footerFindKey(footer, BUCKET, keyOf("again"))).toEqual(offsets);
  });

  test("keep keys in the order of their bytes where strings differ", async () => {
    const builder = builderOf(1);
    const keys = ["\u{1f600}", "\uffee", "a", "\u{10ffff}", "é"].map(keyOf);
    for (const [at, key] of keys.entries()) builder.addKey(BUCKET, key, at);
    const footer = readFooter(await sealed(builder), 1);
    for (const [at, key] of keys.entries()) {
      expect(footerFindKey(footer, BUCKET, key)).toEqual([at]);
    }
  });

  test("take the longest keys", async () => {
    const builder = builderOf(1);
    const keys = Array.from({ length: 200 }, (_, at) => keyOf(`${"x".repeat(1020)}${1000 + at}`));
    for (const [at, key] of keys.entries()) builder.addKey(BUCKET, key, at);
    const footer = readFooter(await sealed(builder), 1);
    for (const [at, key] of keys.entries()) {
      expect(footerFindKey(footer, BUCKET, key)).toEqual([at]);
    }
  });

  test("of a segment with nothing in it say so", async () => {
    const footer = readFooter(await sealed(builderOf(1)), 1);
    expect(footer).toMatchObject({ hlcs: undefined, firstSeq: 0, lastSeq: 0, operations: 0 });
    expect(footerFindKey(footer, BUCKET, keyOf("cat"))).toEqual([]);
  });

  test("count operations, and let batches without any leave the sequence alone", async () => {
    const builder = builderOf(1);
    const batch = { offset: 4096, opsBytes: 10, batchBytes: 4096 };
    builder.addBatch({ ...batch, operations: 0, firstSeq: 0, lastSeq: 0 });
    builder.addBatch({ ...batch, operations: 3, firstSeq: 5, lastSeq: 7 });
    builder.addBatch({ ...batch, operations: 0, firstSeq: 8, lastSeq: 0 });
    const footer = readFooter(await sealed(builder), 1);
    expect(footer).toMatchObject({ operations: 3, firstSeq: 5, lastSeq: 7, batchCount: 3 });
  });

  test("are put in order in many short steps", async () => {
    const builder = builderOf(1);
    for (let at = 0; at < 3000; at++) builder.addKey(BUCKET, keyOf(`${at}`), at);
    let turns = 0;
    await builder.build(() => {
      turns++;
      return Promise.resolve();
    });
    expect(turns).toBeGreaterThan(10);
  });

  test("with any bit flipped, trailer included, are damaged", async () => {
    const builder = builderOf(1);
    builder.addKey(BUCKET, keyOf("cat.jpg"), 4096);
    const pages = await sealed(builder);
    const found = trailerOf(pages, 1);
    if (found.outcome !== "trailer") throw new Error(found.outcome);
    const { trailer } = found;
    for (let bit = 0; bit < pages.length * 8; bit++) {
      const at = bit >> 3;
      const before = pages[at] ?? 0;
      pages[at] = before ^ (1 << (bit & 7));
      const outcome =
        at < trailer.footerBytes
          ? decodeFooter(pages.subarray(0, -64), trailer, crc32).outcome
          : trailerOf(pages, 1).outcome;
      pages[at] = before;
      expect(outcome, `bit ${bit}`).toBe("damaged");
    }
  });

  test("of a file that was cut, grown or belongs to another segment are damaged", async () => {
    const pages = await sealed(builderOf(1));
    const last = pages.subarray(-64);
    const fileBytes = OFFSET + pages.length;
    for (const expected of [
      { segmentId: 1, fileBytes: fileBytes + 4096 },
      { segmentId: 2, fileBytes },
    ]) {
      expect(decodeFooterTrailer(last, expected, crc32).outcome).toBe("damaged");
    }
  });

  test("are absent, not damaged, in a segment that was never sealed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => {
        const expected = { segmentId: 1, fileBytes: 8192 };
        expect(decodeFooterTrailer(noise, expected, crc32).outcome).toBe("none");
      }),
    );
  });

  test("of noise with the right checksum are damaged, and nothing worse", () => {
    const magic = fc.constantFrom(Buffer.from("ATOLFOOT"), Buffer.alloc(0));
    fc.assert(
      fc.property(magic, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
        const bytes = Buffer.concat([start, rest]);
        const trailer = {
          segmentId: 1,
          footerOffset: OFFSET,
          footerBytes: bytes.length,
          footerCrc: crc32(bytes),
        };
        expect(decodeFooter(bytes, trailer, crc32).outcome).toBe("damaged");
      }),
    );
  });

  test("with a table of noise still answer or refuse every question", async () => {
    const footer = readFooter(await sealed(builderOf(1)), 1);
    const tables = fc.tuple(fc.uint8Array({ maxLength: 60 }), fc.array(fc.nat({ max: 80 })));
    fc.assert(
      fc.property(tables, ([keys, wholes]) => {
        const sparse = Buffer.alloc(wholes.length * 4);
        for (const [at, whole] of wholes.entries()) sparse.writeUInt32LE(whole, at * 4);
        const noisy = { ...footer, keyTable: Buffer.from(keys), sparse };
        decodedOrRefused(() => footerFindKey(noisy, BUCKET, keyOf("cat")));
      }),
      { numRuns: 1000 },
    );
  });
});
