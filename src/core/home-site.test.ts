import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeHomeSite, parseHomeSite } from "./home-site.ts";
import { parseSiteId } from "./names.ts";

const site = parseSiteId("9f2c".repeat(4));
if (site === undefined) throw new Error("16 digits are a site");

test("a home comes back as it was stored", () => {
  expect(encodeHomeSite({ site, epoch: 3 }).toString()).toBe("9f2c9f2c9f2c9f2c 3");
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e14 }), (epoch) => {
      expect(parseHomeSite(encodeHomeSite({ site, epoch }))).toEqual({ site, epoch });
    }),
  );
});

test.each(["", "9f2c9f2c9f2c9f2c", "9f2c9f2c9f2c9f2c 0", "9f2c9f2c9f2c9f2c 01", "9F2C 1", " 1"])(
  "%j is no home",
  (text) => expect(parseHomeSite(Buffer.from(text))).toBeUndefined(),
);
