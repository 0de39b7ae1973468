import { afterAll, beforeAll, expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import type { PartSummary } from "../../core/records.ts";
import type { Hash } from "../../ports/hash.ts";
import { createNativeHash } from "../../ports/native-hash.ts";
import { combineChecksums, defaultChecksumType, isChecksumPlan } from "./checksums.ts";
import { combineCrcs } from "./crc-combine.ts";

let hash: Hash;
beforeAll(async () => {
  hash = await createNativeHash();
});
afterAll(() => hash.close());

const COMBINABLE = ["CRC32", "CRC32C", "CRC64NVME"] as const;

test.each(COMBINABLE)("%s of parts combines to that of the whole, however it is cut", (name) => {
  const piece = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), (pieces) => {
      const parts = pieces.map((bytes) => ({ crc: hash.digest(name, bytes), bytes: bytes.length }));
      expect(combineCrcs(name, parts)).toEqual(hash.digest(name, Buffer.concat(pieces)));
    }),
  );
});

test.each(COMBINABLE)("%s of parts of a mebibyte and more combines too", (name) => {
  const pieces = [1 << 20, 1 << 20, (1 << 20) + 1, 77].map((size, at) => Buffer.alloc(size, at));
  const parts = pieces.map((bytes) => ({ crc: hash.digest(name, bytes), bytes: bytes.length }));
  expect(combineCrcs(name, parts)).toEqual(hash.digest(name, Buffer.concat(pieces)));
});

function partOf(bytes: Uint8Array, algorithm: "CRC32" | "SHA256"): PartSummary {
  const value = hash.digest(algorithm, bytes).toString("base64");
  const checksums = [{ algorithm, type: "FULL_OBJECT", value } as const];
  return { partNumber: 1, size: bytes.length, checksums };
}

test("a composite checksum is the digest of the digests and says of how many", () => {
  const pieces = [Buffer.from("one"), Buffer.from("two"), Buffer.from("three")];
  const parts = pieces.map((piece) => partOf(piece, "SHA256"));
  const digests = Buffer.concat(pieces.map((piece) => hash.digest("SHA256", piece)));
  expect(combineChecksums(hash, { algorithm: "SHA256", type: "COMPOSITE" }, parts)).toEqual({
    algorithm: "SHA256",
    type: "COMPOSITE",
    value: `${hash.digest("SHA256", digests).toString("base64")}-3`,
  });
});

test("a full-object checksum of parts is that of the object", () => {
  const pieces = [Buffer.from("one"), Buffer.from("two")];
  const parts = pieces.map((piece) => partOf(piece, "CRC32"));
  const whole = hash.digest("CRC32", Buffer.from("onetwo")).toString("base64");
  expect(combineChecksums(hash, { algorithm: "CRC32", type: "FULL_OBJECT" }, parts)?.value).toBe(
    whole,
  );
});

test("no checksum is made up where a part has none, or where the algorithm cannot combine", () => {
  const crc = partOf(Buffer.from("one"), "CRC32");
  const sha = partOf(Buffer.from("two"), "SHA256");
  const composite = { algorithm: "CRC32", type: "COMPOSITE" } as const;
  expect(combineChecksums(hash, composite, [crc, sha])).toBeUndefined();
  expect(combineChecksums(hash, composite, [])).toBeUndefined();
  const whole = { algorithm: "SHA256", type: "FULL_OBJECT" } as const;
  expect(combineChecksums(hash, whole, [sha])).toBeUndefined();
});

test("S3's table of algorithms and types holds", () => {
  expect(defaultChecksumType("CRC64NVME")).toBe("FULL_OBJECT");
  expect(defaultChecksumType("CRC32")).toBe("COMPOSITE");
  expect(isChecksumPlan({ algorithm: "CRC64NVME", type: "COMPOSITE" })).toBe(false);
  expect(isChecksumPlan({ algorithm: "CRC32C", type: "FULL_OBJECT" })).toBe(true);
  expect(isChecksumPlan({ algorithm: "SHA1", type: "FULL_OBJECT" })).toBe(false);
  expect(isChecksumPlan({ algorithm: "SHA1", type: "COMPOSITE" })).toBe(true);
});
