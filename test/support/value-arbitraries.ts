import { DIGEST_BYTES } from "../../src/core/checksum-codec.ts";
import { parseHlc } from "../../src/core/hlc.ts";
import {
  parseBucketName,
  parseContentHash,
  parseObjectKey,
  parseOriginId,
  parseSegmentId,
  parseSeq,
  parseSiteId,
  parseUploadId,
  parseVersionId,
} from "../../src/core/names.ts";
import { CHECKSUM_ALGORITHMS, type StoredChecksum } from "../../src/core/records.ts";
import { fc } from "./properties.ts";

export function hex(bytes: number): fc.Arbitrary<string> {
  return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((raw) => {
    return Buffer.from(raw).toString("hex");
  });
}

export function bytes(maxLength: number, minLength = 0): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ minLength, maxLength }).map((raw) => Buffer.from(raw));
}

/** Keeps what a parser of core accepts. */
export function parsed<From, To>(
  from: fc.Arbitrary<From>,
  parse: (value: From) => To | undefined,
): fc.Arbitrary<To> {
  return from.map(parse).filter((value): value is To => value !== undefined);
}

const text = fc.string({ unit: "grapheme", maxLength: 20 });
export const count = fc.maxSafeNat();
export const wellFormed = text.filter((value) => value.isWellFormed());
export const pairs = fc.array(fc.tuple(wellFormed, wellFormed), { maxLength: 3 });

export const bucketNames = parsed(
  fc.stringMatching(/^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$/),
  parseBucketName,
);
export const objectKeys = parsed(
  fc.oneof(fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }), hex(8)),
  parseObjectKey,
);
export const origins = parsed(hex(8), parseOriginId);
export const seqs = parsed(fc.maxSafeNat(), parseSeq);
export const siteIds = parsed(hex(8), parseSiteId);
export const hlcs = parsed(fc.bigInt(0n, 0xffff_ffff_ffff_ffffn), parseHlc);
export const contentHashes = parsed(hex(32), parseContentHash);
export const versionIds = parsed(hex(16), parseVersionId);
export const uploadIds = parsed(hex(16), parseUploadId);
export const segmentIds = parsed(fc.integer({ min: 1, max: 0xffff_ffff }), parseSegmentId);
export const manifestRefs = fc.record({ hash: contentHashes, bytes: count });

export const etags = fc.oneof(
  hex(16),
  fc.tuple(hex(16), fc.integer({ min: 1, max: 10_000 })).map(([md5, parts]) => `${md5}-${parts}`),
  wellFormed,
  fc.constantFrom("", "-1", "0".repeat(32).toUpperCase(), `${"a".repeat(32)}-0`, "A".repeat(32)),
);

const checksums: fc.Arbitrary<StoredChecksum> = fc
  .constantFrom(...CHECKSUM_ALGORITHMS)
  .chain((algorithm) => {
    const digest = bytes(DIGEST_BYTES[algorithm], DIGEST_BYTES[algorithm]).map((raw) => {
      return raw.toString("base64");
    });
    const counted = fc.tuple(digest, fc.integer({ min: 1, max: 10_000 }));
    return fc.record({
      algorithm: fc.constant(algorithm),
      type: fc.constantFrom("FULL_OBJECT" as const, "COMPOSITE" as const),
      value: fc.oneof(
        digest,
        counted.map(([value, parts]) => `${value}-${parts}`),
        digest.map((value) => `${value}-0`),
        digest.map((value) => `${value}-`),
        wellFormed,
      ),
    });
  });
export const checksumLists = fc.array(checksums, { maxLength: 3 });

export const attributes = fc.record({
  system: pairs,
  user: pairs,
  storageClass: fc.option(wellFormed, { nil: undefined }),
  tags: pairs,
});

export const retentions = fc.option(
  fc.record({
    mode: fc.constantFrom("GOVERNANCE" as const, "COMPLIANCE" as const),
    untilMs: count,
  }),
  { nil: undefined },
);
export const locks = fc.option(fc.record({ retention: retentions, legalHold: fc.boolean() }), {
  nil: undefined,
});
export const writeStamps = fc.record({ hlc: hlcs, origin: origins, seq: seqs });

/** One small change to bytes: a flipped bit, a byte cut out, put in, or the end cut off. */
export function damaged(input: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const change = fc.constantFrom(
    "flip" as const,
    "cut" as const,
    "insert" as const,
    "end" as const,
  );
  return fc
    .tuple(input, change, fc.nat(), fc.nat({ max: 255 }))
    .map(([whole, kind, where, value]) => {
      const at = where % Math.max(1, whole.length);
      const [before, after] = [whole.subarray(0, at), whole.subarray(at)];
      if (kind === "end") return Buffer.from(before);
      if (kind === "insert") return Buffer.concat([before, Buffer.of(value), after]);
      if (kind === "cut") return Buffer.concat([before, after.subarray(1)]);
      const flipped = Buffer.from(whole);
      if (flipped.length > 0) flipped[at] = (flipped[at] ?? 0) ^ (1 << (value % 8));
      return flipped;
    });
}
