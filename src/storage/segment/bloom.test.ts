import { describe, expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { bloomOver, createBloom } from "./bloom.ts";

describe("the filter", () => {
  test("never denies what it holds, not even after it was stored", () => {
    const names = fc.array(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      { maxLength: 300, size: "max" },
    );
    fc.assert(
      fc.property(names, (held) => {
        const bloom = createBloom(held.length);
        for (const name of held) bloom.add(name);
        const stored = bloomOver(Buffer.from(bloom.bits));
        for (const name of held) expect(stored.mayHold(name)).toBe(true);
      }),
    );
  });

  test.each(["some/prefix/object-", "a", "photos\0year/2026/11/"])(
    "claims fewer than two in a hundred names like %j that it does not hold",
    (prefix) => {
      const bloom = createBloom(20_000);
      for (let at = 0; at < 20_000; at++) bloom.add(Buffer.from(`${prefix}${at}`));
      let claimed = 0;
      for (let at = 20_000; at < 40_000; at++) {
        if (bloom.mayHold(Buffer.from(`${prefix}${at}`))) claimed++;
      }
      expect(claimed).toBeLessThan(400);
    },
  );

  test("of no names denies everything and still has bits", () => {
    const bloom = createBloom(0);
    expect(bloom.bits.length).toBeGreaterThan(0);
    expect(bloom.mayHold(Buffer.from("cat"))).toBe(false);
  });

  test("sets the same bits for ever, as a second implementation of FORMAT.md found them", () => {
    const bloom = createBloom(7);
    bloom.add(Buffer.from("photos\0cat.jpg"));
    expect(Buffer.from(bloom.bits).toString("hex")).toBe("000000000049009024");
  });
});
