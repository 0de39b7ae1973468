import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { fixedBits, holdsAddress, parseAddressRange } from "./address-range.ts";

function holds(range: string, address: string): boolean | undefined {
  const parsed = parseAddressRange(range);
  if (parsed === undefined) throw new Error(`${range} is no range`);
  return holdsAddress(parsed, address);
}

test("a range of IPv4 holds what shares its first bits", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  const address = fc.tuple(octet, octet, octet, octet);
  const bitsOf = (parts: readonly number[]): string =>
    parts.map((part) => part.toString(2).padStart(8, "0")).join("");
  fc.assert(
    fc.property(address, address, fc.integer({ min: 0, max: 32 }), (left, right, bits) => {
      const same = bitsOf(left).slice(0, bits) === bitsOf(right).slice(0, bits);
      expect(holds(`${left.join(".")}/${bits}`, right.join("."))).toBe(same);
      expect(holds(`${left.join(".")}/${bits}`, `::ffff:${right.join(".")}`)).toBe(same);
    }),
  );
});

test("an IPv6 address is the same however it is written", () => {
  const groups = fc.array(fc.constantFrom(0, 1, 0xdb8, 0xffff), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, (parts) => {
      const long = parts.map((part) => part.toString(16).padStart(4, "0").toUpperCase()).join(":");
      const short = long.replace(/(^|:)0{1,3}/g, "$1").replace(/(?:^|:)0(?::0)+(?:$|:)/, "::");
      expect(holds(long, short)).toBe(true);
      expect(holds(short, long)).toBe(true);
    }),
  );
});

test.each(["", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "1.2.3.4/33", "1.2.3.4/", "a"])(
  "%j is no range",
  (text) => {
    expect(parseAddressRange(text)).toBeUndefined();
  },
);

test.each(["::1::", "1:2:3:4:5:6:7:8:9", "1:2:3", "::/129", "12345::", "::1.2.3", ":::", "::1/x"])(
  "%j is no range of IPv6",
  (text) => {
    expect(parseAddressRange(text)).toBeUndefined();
  },
);

test("nobody can say whether a range holds what is no address", () => {
  for (const text of ["", "nowhere", "10.0.0", "10.0.0.0/8"]) {
    expect(holds("10.0.0.0/8", text)).toBeUndefined();
  }
});

test("a range knows how many bits it fixes, as its own notation has it", () => {
  for (const [text, version, bits] of [
    ["10.0.0.0/8", 4, 8],
    ["10.0.0.1", 4, 32],
    ["0.0.0.0/0", 4, 0],
    ["2001:db8::/32", 6, 32],
    ["::/0", 6, 0],
  ] as const) {
    const range = parseAddressRange(text);
    expect(range === undefined ? undefined : fixedBits(range)).toEqual({ version, bits });
  }
});
