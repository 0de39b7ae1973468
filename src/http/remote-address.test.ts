import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { formatAddress, plainAddress } from "./remote-address.ts";

test("writes IPv4 with dots, inside IPv6 too", () => {
  expect(formatAddress(Uint8Array.of(127, 0, 0, 1))).toBe("127.0.0.1");
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 7);
  expect(formatAddress(mapped)).toBe("10.0.0.7");
  expect(plainAddress("::ffff:10.0.0.7")).toBe("10.0.0.7");
  expect(plainAddress("::1")).toBe("::1");
});

test("an address of no known length is empty, as one that is gone", () => {
  expect(formatAddress(new Uint8Array(5))).toBe("");
  expect(plainAddress(undefined)).toBe("");
});

test("writes IPv6 as URLs do", () => {
  const byte = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.array(byte, { minLength: 16, maxLength: 16 }), (bytes) => {
      const text = formatAddress(Uint8Array.from(bytes));
      fc.pre(!text.includes("."));
      expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
    }),
    { numRuns: 500 },
  );
});
