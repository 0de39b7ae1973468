import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { LayoutError } from "../core/bytes.ts";
import { decodePage, encodePage } from "./page-frame.ts";

const entry = fc.record({
  encoded: fc.uint8Array({ minLength: 61, maxLength: 400 }),
  inline: fc.option(fc.uint8Array({ maxLength: 3000 }), { nil: undefined }),
});

test("a page comes out as it went in, compressed or not", () => {
  const frame = fc.record({
    head: fc.uint8Array({ maxLength: 100 }),
    entries: fc.array(entry, { maxLength: 20 }),
  });
  fc.assert(
    fc.property(frame, fc.boolean(), ({ head, entries }, compress) => {
      const page = decodePage(encodePage({ head, entries }, compress));
      expect(Buffer.from(page.head).equals(head)).toBe(true);
      expect(page.entries.length).toBe(entries.length);
      for (const [at, { encoded, inline }] of entries.entries()) {
        expect(Buffer.from(page.entries[at]?.encoded ?? []).equals(encoded)).toBe(true);
        expect(page.entries[at]?.inline === undefined).toBe(inline === undefined);
        expect(Buffer.from(page.entries[at]?.inline ?? []).equals(inline ?? Buffer.of())).toBe(
          true,
        );
      }
    }),
  );
});

test("any change of any byte is refused as not fitting the layout, or stays a bounded page", () => {
  const page = encodePage(
    {
      head: Buffer.from("{}"),
      entries: [
        { encoded: Buffer.alloc(700, 1), inline: Buffer.alloc(9000, 2) },
        { encoded: Buffer.alloc(61, 3), inline: undefined },
      ],
    },
    true,
  );
  for (let at = 0; at < page.length; at++) {
    const changed = Buffer.from(page);
    changed[at] = (changed[at] ?? 0) ^ 0x81;
    try {
      expect(decodePage(changed).entries.length).toBeLessThan(100);
    } catch (failure) {
      expect(failure).toBeInstanceOf(LayoutError);
    }
  }
});

test("a page that ends early, goes on too long, or holds a too short operation is refused", () => {
  const page = encodePage(
    { head: Buffer.from("{}"), entries: [{ encoded: Buffer.alloc(61), inline: undefined }] },
    false,
  );
  for (let end = 0; end < page.length; end++) {
    expect(() => decodePage(page.subarray(0, end))).toThrow(LayoutError);
  }
  expect(() => decodePage(Buffer.concat([page, Buffer.of(0)]))).toThrow(LayoutError);
  const short = { encoded: Buffer.alloc(60), inline: undefined };
  const frame = encodePage({ head: Buffer.from("{}"), entries: [short] }, false);
  expect(() => decodePage(frame)).toThrow(LayoutError);
});

test("arbitrary bytes are refused as not fitting the layout", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(() => decodePage(bytes)).toThrow(LayoutError);
    }),
  );
});
