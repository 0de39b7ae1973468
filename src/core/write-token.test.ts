import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { parseHlc } from "./hlc.ts";
import { parseOriginId, parseSeq } from "./names.ts";
import { formatWriteToken, parseWriteToken, type WriteToken } from "./write-token.ts";

function tokenOf(origin: bigint, seq: number, hlc: bigint): WriteToken {
  const parts = {
    origin: parseOriginId(origin.toString(16).padStart(16, "0")),
    seq: parseSeq(seq),
    hlc: parseHlc(hlc),
  };
  if (parts.origin === undefined || parts.seq === undefined || parts.hlc === undefined) {
    throw new Error("these are parts of a token");
  }
  return { origin: parts.origin, seq: parts.seq, hlc: parts.hlc };
}

const U64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const TOKENS = fc
  .tuple(U64, fc.nat(Number.MAX_SAFE_INTEGER), U64)
  .map(([origin, seq, hlc]) => tokenOf(origin, seq, hlc));

test("every token comes back as it was, and can stand in a header and in a URL", () => {
  fc.assert(
    fc.property(TOKENS, (token) => {
      const text = formatWriteToken(token);
      expect(text).toMatch(/^[A-Za-z0-9_-]{34}$/);
      expect(parseWriteToken(text)).toEqual(token);
    }),
  );
});

test("what no site has written is no token", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), fc.string({ minLength: 34 })), (text) => {
      const read = parseWriteToken(text);
      if (read !== undefined) expect(formatWriteToken(read)).toBe(text);
    }),
  );
});

test("the text is for ever: other versions, spare bits and spaces are refused", () => {
  const text = formatWriteToken(tokenOf(0x0123_4567_89ab_cdefn, 7, 1n << 16n));
  expect(text).toBe("AQEjRWeJq83vAAAAAAAAAAcAAAAAAAEAAA");
  expect(parseWriteToken(`${text.slice(0, -1)}B`)).toBeUndefined();
  expect(parseWriteToken(`Ag${text.slice(2)}`)).toBeUndefined();
  expect(parseWriteToken(` ${text.slice(1)}`)).toBeUndefined();
  expect(parseWriteToken(`${text}=`)).toBeUndefined();
  expect(parseWriteToken("")).toBeUndefined();
  const beyond = Buffer.from(text, "base64url");
  beyond.writeBigUInt64BE(0xffff_ffff_ffff_ffffn, 9);
  expect(parseWriteToken(beyond.toString("base64url"))).toBeUndefined();
});
