import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { LayoutError } from "../core/bytes.ts";
import { type ContentHash, parseContentHash } from "../core/names.ts";
import {
  parseManifestsRequest,
  readManifests,
  writeManifests,
  writeManifestsRequest,
} from "./wire-bodies.ts";

const hash = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => parseContentHash(Buffer.from(bytes).toString("hex")) as ContentHash);
const chunk = fc.record({ hash, bytes: fc.integer({ min: 1, max: 4 * 1024 * 1024 }) });
const manifest = fc.option(fc.array(chunk, { maxLength: 4 }), { nil: undefined });

test("manifests are asked for and come back as they are, missing ones as missing", () => {
  fc.assert(
    fc.property(
      fc.array(hash, { minLength: 1, maxLength: 5 }),
      fc.array(manifest),
      (names, all) => {
        expect(parseManifestsRequest(writeManifestsRequest(names))).toEqual({
          outcome: "ok",
          value: names,
        });
        const read = readManifests(writeManifests(all), all.length);
        expect(read.map((one) => one?.chunks)).toEqual(all);
      },
    ),
  );
});

test("no name, too many names and what is no name at all are refused", () => {
  const texts = ["{", "{}", '{"hashes":[]}', '{"hashes":["AB"]}'];
  const many = JSON.stringify({ hashes: Array(129).fill("00".repeat(32)) });
  for (const text of [...texts, many]) {
    expect(parseManifestsRequest(Buffer.from(text)).outcome).toBe("bad");
  }
});

test("chunks of no bytes or of too many are refused, and so is any other answer", () => {
  const name = parseContentHash("00".repeat(32)) as ContentHash;
  for (const bytes of [0, 4 * 1024 * 1024 + 1]) {
    const answer = writeManifests([[{ hash: name, bytes }]]);
    expect(() => readManifests(answer, 1)).toThrow(LayoutError);
  }
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), fc.nat(3), (bytes, count) => {
      try {
        expect(readManifests(bytes, count).length).toBe(count);
      } catch (failure) {
        expect(failure).toBeInstanceOf(LayoutError);
      }
    }),
  );
});
