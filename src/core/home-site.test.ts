import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { encodeHomeSite, parseHomeSite } from "./home-site.ts";
import { parseOriginId, parseSeq, parseSiteId } from "./names.ts";
import type { Vector } from "./records.ts";

const site = parseSiteId("9f2c".repeat(4));
if (site === undefined) throw new Error("16 digits are a site");

const VECTORS = fc
  .array(fc.tuple(fc.bigInt(0n, 0xffff_ffff_ffff_ffffn), fc.maxSafeNat()), { maxLength: 8 })
  .map((entries): Vector => {
    const known = entries.flatMap(([id, position]) => {
      const origin = parseOriginId(id.toString(16).padStart(16, "0"));
      const seq = parseSeq(position);
      return origin === undefined || seq === undefined ? [] : [[origin, seq] as const];
    });
    return new Map(known);
  });

test("a home comes back as it was stored", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e14 }), VECTORS, (epoch, after) => {
      const home = { site, epoch, after };
      expect(parseHomeSite(encodeHomeSite(home))).toEqual(home);
    }),
  );
});

test("the text is for ever", () => {
  const [origin, seq] = [parseOriginId("ab".repeat(8)), parseSeq(7)];
  if (origin === undefined || seq === undefined) throw new Error("this is a position");
  const after = new Map([[origin, seq]]);
  const text = "9f2c9f2c9f2c9f2c 3 abababababababab:7";
  expect(encodeHomeSite({ site, epoch: 3, after }).toString()).toBe(text);
});

test.each([
  ...["", "9f2c9f2c9f2c9f2c", "9f2c9f2c9f2c9f2c 0", "9f2c9f2c9f2c9f2c 01", "9F2C 1", " 1"],
  ...["9f2c9f2c9f2c9f2c 1 ", "9f2c9f2c9f2c9f2c 1 ab:1", "9f2c9f2c9f2c9f2c 1 abababababababab:"],
  ...["9f2c9f2c9f2c9f2c 1 abababababababab:9999999999999999"],
])("%j is no home", (text) => expect(parseHomeSite(Buffer.from(text))).toBeUndefined());
