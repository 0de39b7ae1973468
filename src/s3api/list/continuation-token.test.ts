import { crc32 } from "@node-rs/crc32";
import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { decodeToken, encodeToken } from "./continuation-token.ts";

const hash = { crc32: (bytes: Uint8Array) => crc32(Buffer.from(bytes)) };
const key = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });

test("a token gives back the name it was made of", () => {
  fc.assert(
    fc.property(key, (name) => {
      fc.pre(name.isWellFormed());
      expect(decodeToken(hash, encodeToken(hash, name))).toBe(name);
    }),
  );
});

test("a token changed anywhere is refused", () => {
  fc.assert(
    fc.property(key, fc.nat(), fc.constantFrom("A", "z", "_", "0"), (name, place, letter) => {
      const token = encodeToken(hash, name);
      const at = place % token.length;
      const changed = token.slice(0, at) + letter + token.slice(at + 1);
      fc.pre(changed !== token);
      expect(() => decodeToken(hash, changed)).toThrow(
        expect.objectContaining({ code: "InvalidArgument" }),
      );
    }),
  );
});

test.each([[""], ["a"], ["!!!!"], ["AAAAAAAA"], ["photos/cat.jpg"]])("%s is no token", (text) => {
  expect(() => decodeToken(hash, text)).toThrow(
    expect.objectContaining({ code: "InvalidArgument" }),
  );
});
